"""Modules that are emitted once, however often the design repeats them."""

from amaranth.lib import wiring

__all__ = ["EmitOnce"]


class EmitOnce(wiring.Component):
    """A component that the Verilog emitter turns into one module with many instances.

    Amaranth emits every instance of a component as a module of its own; for repeated blocks (PEs, SIPs, SRAM banks) this costs most
    of the emission time. A subclass writes :meth:`build` where it would write `elaborate`, and :attr:`key`: what, besides its class,
    decides its contents. Two instances with the same class and key must elaborate to the same module. Under Amaranth's own simulator
    it is a plain component. It must not sit below an `EnableInserter` or `ResetInserter`: an instance has no enable.
    """

    @property
    def key(self) -> tuple:
        """Hashable parameters; equal keys mean equal modules."""
        raise NotImplementedError

    def build(self, platform):
        """As `elaborate` of an ordinary component."""
        raise NotImplementedError

    def elaborate(self, platform):
        emit_once = getattr(platform, "emit_once", None)
        return self.build(platform) if emit_once is None else emit_once(self)
