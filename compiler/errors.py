"""What the compiler refuses."""

__all__ = ["CompileError"]


class CompileError(ValueError):
    """A model that can't be compiled. The message names the node and the reason, in one line."""
