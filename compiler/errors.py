"""What the compiler refuses."""

__all__ = ["CompileError", "NotFused"]


class CompileError(ValueError):
    """A model that can't be compiled. The message names the node and the reason, in one line whatever names the model has."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


class NotFused(CompileError):
    """Operations of which each can be compiled, but not together as one command."""
