"""What tests measure beside passing: rows of the utilisation and stall table in the report of `gcu regress`."""

__all__ = ["MEASUREMENTS", "measure", "take"]

#: Name of the rows among a test's `user_properties`.
MEASUREMENTS = "measurements"

_rows: list[dict] = []


def measure(what: str, config: str, engine: str, causes: dict[str, float], *, utilisation: float | None = None):
    """Adds a row to the test that runs: the cycles of one engine by cause while `what` ran, "busy" among them, and the share of the
    peak rate that was used, where that is known."""
    row = {"what": what, "config": config, "engine": engine, "causes": dict(causes), "utilisation": utilisation}
    if row not in _rows:
        _rows.append(row)


def take() -> list[dict]:
    """The rows since the last call."""
    taken = list(_rows)
    _rows.clear()
    return taken
