"""The two ways in which a command ends badly; `gcu.cli` turns them into one line and an exit status."""

__all__ = ["BadInput", "CheckFailed"]


class BadInput(Exception):
    """Something the user gave can't work: exit status 2."""


class CheckFailed(Exception):
    """A comparison, a budget or a rule failed: exit status 1."""
