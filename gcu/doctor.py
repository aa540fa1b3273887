"""`gcu doctor`: what is there, what is missing, and the command that installs it."""

from gcu.errors import CheckFailed
from gcu.output import check_writable, console, table, write_json
from sim.tools import survey

__all__ = ["doctor"]


def doctor(json_to: str | None):
    """Raises :class:`CheckFailed` if something that the project needs is missing."""
    check_writable("--json", json_to)
    tools = survey()
    rows = [
        [tool.name, "ok" if tool.version else ("missing" if tool.required else "absent"), tool.version or "", tool.purpose,
         "" if tool.version else tool.install]
        for tool in tools
    ]
    console(json_to).print(table("", ["tool", "", "version", "for", "install with"], rows, left=5))
    write_json({"tools": [
        {"name": t.name, "version": t.version, "purpose": t.purpose, "required": t.required, "install": t.install} for t in tools
    ]}, json_to)
    missing = [tool for tool in tools if tool.version is None and tool.required]
    if missing:
        raise CheckFailed("missing: " + "; ".join(f"{tool.name} ({tool.install})" for tool in missing))
