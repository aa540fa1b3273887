"""Coverage plan of the scheduler (`docs/memory_scheduler.md`): each request against those before it, each command on the buses."""

from collections import deque

from rtl.memory.address import AddressMap
from rtl.memory.dfi import ColumnOperation, RowOperation
from verif.common.coverage import Plan

__all__ = ["BLOCK", "SchedulerCoverage"]

BLOCK = "memory_scheduler"
#: Requests before this one that its queues may still hold.
_RECENT = 16
_REQUEST = {
    "cp_request": ["read", "write", "write of some bytes", "write of no byte"],
    "cp_class": ["urgent", "other"],
    "cp_atom": ["new", "read before", "written before"],
    "cp_row": ["same row", "other row"],
    "cp_bank": ["same group and bank", "same group", "other group"],
}
_REQUEST_CROSSES = {
    "cp_request_class": (["cp_request", "cp_class"], None),
    "cp_request_atom": (["cp_request", "cp_atom"], None),
    "cp_request_row": (["cp_request", "cp_row"], None),
    "cp_row_bank": (["cp_row", "cp_bank"], None),
}
_ROW = {"cp_row_command": ["ACT", "PRE", "REFSB", "REFAB"], "cp_debt": ["in advance", "none", "put off"]}
_ROW_CROSSES = {"cp_row_command_debt": (["cp_row_command", "cp_debt"], lambda command, debt: command == "REFAB")}
_COLUMN = {"cp_column_command": ["RD", "WR"], "cp_last": ["RD", "WR"], "cp_group": ["same group", "other group"]}
_COLUMN_CROSSES = {"cp_turn": (["cp_last", "cp_column_command", "cp_group"], None)}


class SchedulerCoverage:
    """Samples requests in the order in which they are given, and the buses each clock."""

    def __init__(self, address_map: AddressMap):
        self._map = address_map
        self._request = Plan(BLOCK, _REQUEST, _REQUEST_CROSSES)
        self._rows = Plan(BLOCK, _ROW, _ROW_CROSSES)
        self._columns = Plan(BLOCK, _COLUMN, _COLUMN_CROSSES)
        self._recent: deque[tuple[int, bool]] = deque(maxlen=_RECENT)
        self._row_of: dict[int, int] = {}
        self._bank: int | None = None
        self._last: tuple[str, int] | None = None

    def request(self, write: bool, urgent: bool, atom: int, strobe: int):
        bank, row, _ = self._map.locate(atom)
        before = {written for other, written in self._recent if other == atom}
        known = self._row_of.get(bank)
        if known is not None and self._bank is not None:
            same = bank == self._bank
            kind = "write" if strobe == 0xFFFFFFFF else "write of some bytes" if strobe else "write of no byte"
            self._request.sample(
                cp_request=kind if write else "read",
                cp_class="urgent" if urgent else "other",
                cp_atom="written before" if True in before else "read before" if before else "new",
                cp_row="same row" if known == row else "other row",
                cp_bank="same group and bank" if same else "same group" if bank & 3 == self._bank & 3 else "other group",
            )
        self._recent.append((atom, write))
        self._row_of[bank] = row
        self._bank = bank

    def buses(self, row: RowOperation, column: ColumnOperation, group: int, owed: int):
        if row not in (RowOperation.NOP, RowOperation.MRS):
            debt = "in advance" if owed < 0 else "put off" if owed > 0 else "none"
            self._rows.sample(cp_row_command=row.name, cp_debt=debt)
        if column is not ColumnOperation.NOP:
            if self._last:
                self._columns.sample(
                    cp_column_command=column.name, cp_last=self._last[0],
                    cp_group="same group" if group == self._last[1] else "other group",
                )
            self._last = column.name, group

    def export(self):
        self._rows.export()
