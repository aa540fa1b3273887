"""Lines of the source for what a design does under conditions, which Amaranth's RTLIL doesn't have: of a process it keeps the line of the
signal alone, and lines of its own library where that made a statement."""

import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import amaranth
from amaranth import tracer
from amaranth.back import rtlil
from amaranth.hdl import _dsl

__all__ = ["BETWEEN_BRANCHES", "BETWEEN_LINES", "branches_with_places"]

#: A `switch` has the attribute `src` with the lines of each of its branches, in their order.
BETWEEN_BRANCHES, BETWEEN_LINES = ";", "|"

_LIBRARY = str(Path(amaranth.__file__).parent)


def _caller(src_loc_at: int = 0) -> tuple[str, int]:
    """Of the frames around :func:`amaranth.tracer.get_src_loc`, the first one outside of the library."""
    first = frame = sys._getframe(2 + src_loc_at)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    frame = frame or first
    return frame.f_code.co_filename, frame.f_lineno


@contextmanager
def branches_with_places():
    """What is elaborated and written as RTLIL inside has the lines.

    Amaranth's writer takes the assignments of a signal in their order, after the signal's default; the n-th one that it hands to a process
    or to a branch of it is the n-th of the list, and so has that one's line.
    """
    write_list, write_switch = rtlil.ModuleEmitter.emit_assignment_list, rtlil.Switch.emit
    to_process, to_branch, resolve = rtlil.Process.assign, rtlil.Case.assign, _dsl.FSMNextStatement.resolve
    lines: list = []

    def emit_assignment_list(self, index, cell):
        lines[:] = [cell.src_loc, *(assignment.src_loc for assignment in cell.assignments)]
        write_list(self, index, cell)
        if lines:
            raise RuntimeError(f"{len(lines)} assignments of {cell.src_loc} were not written in order")

    def process_assign(self, left, right):
        lines.pop(0)
        to_process(self, left, right)

    def branch_assign(self, left, right):
        self.__dict__.setdefault("places", {})[lines.pop(0)] = None
        to_branch(self, left, right)

    def switch_emit(self, line):
        places = [[f"{file}:{number}" for file, number in getattr(case, "places", {})] for case in self.cases]
        line(f'attribute \\src "{BETWEEN_BRANCHES.join(BETWEEN_LINES.join(each) for each in places)}"')
        write_switch(self, line)

    def next_state(self):
        statement = resolve(self)
        statement.src_loc = self.src_loc  # where `m.next` stands, not where the state's code became known
        return statement

    with (
        patch.object(tracer, "get_src_loc", _caller), patch.object(_dsl.FSMNextStatement, "resolve", next_state),
        patch.object(rtlil.ModuleEmitter, "emit_assignment_list", emit_assignment_list), patch.object(rtlil.Switch, "emit", switch_emit),
        patch.object(rtlil.Process, "assign", process_assign), patch.object(rtlil.Case, "assign", branch_assign),
    ):
        yield
