"""The return buffer of a port: atoms come in any order and leave in that of their identifiers."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.common.sram import SramDual
from rtl.common.stream import StreamFifo
from rtl.common.turns import RoundRobin
from rtl.memory.address import ATOM_BYTES
from rtl.memory.interface import WORDS
from rtl.memory.port.lane import Lane
from rtl.memory.port.layouts import held_atom, part_layout

__all__ = ["LANES", "ReturnBuffer"]

#: Identifiers that are equal modulo this number share a lane, and so their order.
LANES = 16


class ReturnBuffer(EmitOnce):
    """Slots for atoms, handed out before the reads are offered, so that what comes back never waits.

    Atoms of one lane leave in the order of their slots. Between lanes the one whose atom has come goes first: after the end of a burst
    they take turns; within a burst its lane goes on, and if its next atom lacks, others pass (with `interleave`) or all wait.

    Parameters
    ----------
    slots
        A power of two.
    id_bits
        Width of the AXI identifiers.
    interleave
        Atoms of two bursts may alternate.

    Members
    -------
    parts
        What an atom will give. It is taken while there is a free slot.
    slot
        The slot of what is taken from `parts`.
    whole
        What is taken waits for no data.
    returned, returned_slot, returned_atom
        An atom that has come; `returned` is one clock.
    atoms
        Straight from the SRAMs. An atom that has come in clock t leaves in t + 2 at the earliest.
    """

    def __init__(self, slots: int, id_bits: int, *, interleave: bool):
        self.slots, self.id_bits, self.interleave = slots, id_bits, interleave
        self.lanes = min(LANES, 1 << id_bits)
        self._bits = (slots - 1).bit_length()
        self._atom = data.StructLayout({"data": 8 * ATOM_BYTES, "bad": WORDS})
        super().__init__({
            "parts": In(stream.Signature(part_layout(id_bits))), "slot": Out(self._bits), "whole": In(1),
            "returned": In(1), "returned_slot": In(self._bits), "returned_atom": In(self._atom),
            "atoms": Out(stream.Signature(held_atom(id_bits))),
        })

    @property
    def key(self) -> tuple:
        return (self.slots, self.id_bits, self.interleave)

    def build(self, platform):
        m = Module()
        slots, bits = self.slots, self._bits
        fetch, fetched = Signal(), Signal()
        fetch_slot = Signal(bits)
        push = self.parts.valid & self.parts.ready

        # Free slots: each one comes fresh once, then from the queue of those given back.
        m.submodules.free = free = StreamFifo(bits, slots)
        fresh = Signal(bits + 1)
        is_fresh = ~fresh[bits]
        m.d.comb += [
            self.slot.eq(Mux(is_fresh, fresh[:bits], free.output.payload)), self.parts.ready.eq(is_fresh | free.output.valid),
            free.output.ready.eq(push & ~is_fresh),
            # An atom at the SRAM's output stays there, whatever is written to its row.
            free.input.valid.eq(fetch), free.input.payload.eq(fetch_slot),
        ]
        with m.If(push & is_fresh):
            m.d.sync += fresh.eq(fresh + 1)

        m.submodules.data = atoms = SramDual(slots, self._atom.size)
        m.submodules.parts_of = parts = SramDual(slots, part_layout(self.id_bits).size)
        m.submodules.links = links = SramDual(slots, bits)
        out, part = self.atoms.payload, Signal(part_layout(self.id_bits))
        m.d.comb += [
            part.eq(parts.read_data),
            atoms.write.eq(self.returned), atoms.write_address.eq(self.returned_slot), atoms.write_data.eq(self.returned_atom),
            parts.write.eq(push), parts.write_address.eq(self.slot), parts.write_data.eq(self.parts.payload),
            atoms.read_enable.eq(fetch), atoms.read_address.eq(fetch_slot),
            parts.read_enable.eq(fetch), parts.read_address.eq(fetch_slot),
            Cat(out.data, out.bad).eq(atoms.read_data), out.part.eq(part),
            self.atoms.valid.eq(fetched),
        ]
        m.d.sync += fetched.eq(fetch | (fetched & ~self.atoms.ready))

        # Slots behind the heads of the lanes that have their data. A slot is marked anew when it is handed out, whatever it was left with.
        m.submodules.arrived = arrived = Memory(shape=1, depth=slots, init=[])
        for here, there, now in ((self.returned, self.returned_slot, 1), (push, self.slot, self.whole)):
            port = arrived.write_port()
            m.d.comb += [port.en.eq(here), port.addr.eq(there), port.data.eq(now)]

        lanes = [Lane(slots) for _ in range(self.lanes)]
        choice = self._choose(m, lanes, fetch, fetched, part.more)
        link = links.read_data
        load, load_lane, load_strand = Signal(), Signal(self.lanes), Signal()
        more, strand = Signal(), Signal()
        m.d.sync += [load.eq(fetch & more), load_lane.eq(choice), load_strand.eq(strand)]
        linked = arrived.read_port(domain="comb")
        m.d.comb += linked.addr.eq(link)
        link_here = linked.data | (self.returned & (self.returned_slot == link))
        for number, lane in enumerate(lanes):
            m.submodules[f"lane{number}"] = lane
            m.d.comb += [
                lane.push.eq(push & (self.parts.payload.id[:(self.lanes - 1).bit_length()] == number)),
                lane.slot.eq(self.slot), lane.whole.eq(self.whole),
                lane.pop.eq(fetch & choice[number]),
                lane.load.eq(load & load_lane[number]), lane.load_strand.eq(load_strand), lane.link.eq(link), lane.link_here.eq(link_here),
                lane.returned.eq(self.returned), lane.returned_slot.eq(self.returned_slot),
            ]
            with m.If(choice[number]):
                m.d.comb += [fetch_slot.eq(lane.head), more.eq(lane.more), strand.eq(lane.strand)]
            with m.If(lane.linked):
                m.d.comb += [links.write.eq(1), links.write_address.eq(lane.link_from)]
        m.d.comb += [links.write_data.eq(self.slot), links.read_enable.eq(fetch), links.read_address.eq(fetch_slot)]
        return m

    def _choose(self, m: Module, lanes: list[Lane], fetch: Signal, fetched: Signal, more: Value) -> Signal:
        """The lane whose atom is fetched when there is room, one-hot."""
        m.submodules.turn = turn = RoundRobin(self.lanes)
        here, current, candidates = Signal(self.lanes), Signal(self.lanes), Signal(self.lanes)
        # The SRAM says what was fetched last, once something was.
        within = Signal()
        m.d.comb += [
            here.eq(Cat(lane.here for lane in lanes)),
            within.eq(current.any() & more),
            candidates.eq(Mux(within & (here & current).any(), current, here)),
        ]
        if not self.interleave:
            m.d.comb += candidates.eq(Mux(within, here & current, here))
        m.d.comb += [
            turn.request.eq(candidates), turn.taken.eq(fetch),
            fetch.eq(candidates.any() & (~fetched | self.atoms.ready)),
        ]
        with m.If(fetch):
            m.d.sync += current.eq(turn.grant)
        return turn.grant
