"""Printing: tables for people, JSON for programs, progress for the patient."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gcu.errors import BadInput

__all__ = ["check_writable", "console", "progress", "table", "write_json"]

#: People read standard output; progress goes to standard error, so that `--json -` stays clean.
_console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
_errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


def check_writable(option: str, path: str | Path | None, *, folder: bool = False):
    """Raises :class:`BadInput` before the work where a result could not be written after it. A `folder` is made; `-` and None pass."""
    if path is None or path == "-":
        return
    path = Path(path)
    try:
        if folder:
            path.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            raise BadInput(f"{option} {path}: there is no folder {path.parent}")
    except OSError as error:
        reason = "not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
        raise BadInput(f"{option} {path}: {reason}; name a folder that can be written") from None
    if not folder and path.is_dir():
        raise BadInput(f"{option} {path}: is a folder; name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"{option} {path}: can't be written; name another place")


def console(json_to: str | None) -> Console:
    """Where the human answer goes: standard error when standard output carries JSON."""
    return _errors if json_to == "-" else _console


def table(title: str, columns: list[str], rows: list[list], *, left: int = 1) -> Table:
    """A table whose first `left` columns are text, the others numbers."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="left" if index < left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Shows `what` once it has taken two seconds; the callable sets how much is done."""
    if not _errors.is_terminal:
        began = time.monotonic()
        shown = [began]

        def plain(done: int):
            if time.monotonic() - shown[0] > 10:
                shown[0] = time.monotonic()
                amount = f"{done:,}" + (f" of {total:,}" if total else "") if done else f"running for {shown[0] - began:.0f} s"
                print(f"{what}: {amount}", file=sys.stderr)

        yield plain
        return
    bar = Progress(
        SpinnerColumn(), TextColumn(what), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn(),
        console=_errors, transient=True,
    )
    task = bar.add_task(what, total=total)
    begin = time.monotonic()
    started = False

    def update(done: int):
        nonlocal started
        if not started and time.monotonic() - begin > 2:
            bar.start()
            started = True
        bar.update(task, completed=done)

    try:
        yield update
    finally:
        if started:
            bar.stop()


def write_json(data: dict, json_to: str | None):
    """Writes `data` to a file, or to standard output for "-"."""
    if json_to is None:
        return
    text = json.dumps(data, indent=2, default=str) + "\n"
    if json_to == "-":
        sys.stdout.write(text)
    else:
        Path(json_to).write_text(text)
