"""The ring of slots that are known and not yet freed."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import VectorCommand
from rtl.vector.slot import POINTER_BITS, RING, entries, slot_layout
from rtl.vector.walk import Walk

__all__ = ["SlotRing"]


class SlotRing(wiring.Component):
    """Keeps the slots of two strips for the loaders and the issue, which come by once for every tap and pass.

    Members
    -------
    start, command, parameters : as in `Walk`
    released : pointer behind the last slot that was freed
    walked : pointer behind the last slot that is known; `ended`: it is the command's last
    x_position, y_position, position : of the slot whose entry `x_slot`, `y_slot`, `slot` shows in the same cycle
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        layout = slot_layout(config)
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "parameters": In(range(2 * entries(config))), "released": In(POINTER_BITS),
            "walked": Out(POINTER_BITS), "ended": Out(1),
            **{f"{user}position": In(range(RING)) for user in ("x_", "y_", "")},
            **{f"{user}slot": Out(layout) for user in ("x_", "y_", "")},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(self.config)
        m.submodules.slots = slots = Memory(shape=slot_layout(self.config), depth=RING, init=[])
        for user in ("x_", "y_", ""):
            read = slots.read_port(domain="comb")
            m.d.comb += [read.addr.eq(getattr(self, f"{user}position")), getattr(self, f"{user}slot").eq(read.data)]
        write = slots.write_port()
        full = (self.walked - self.released)[:POINTER_BITS] == RING
        m.d.comb += [
            walk.start.eq(self.start), walk.command.eq(self.command), walk.parameters.eq(self.parameters), walk.slot.ready.eq(~full),
            write.en.eq(walk.slot.valid & ~full), write.addr.eq(self.walked), write.data.eq(walk.slot.payload),
        ]
        with m.If(self.start):
            m.d.sync += [self.walked.eq(0), self.ended.eq(0)]
        with m.Elif(write.en):
            m.d.sync += [self.walked.eq(self.walked + 1), self.ended.eq(walk.slot.payload.last)]
        return m
