"""Ledger: the commands under way, from their start in the mid end to their `done`."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.gather import IndexError
from rtl.data_engine.job import SLOT_BITS, SLOTS, Box
from rtl.data_engine.reader import BusError
from rtl.isa import Cause, Completion, Space, Status

__all__ = ["Ledger"]

#: What the ledger keeps of a command.
_COMMAND = {"tag": 16, "status": Status, "address": 32, "reads": 1, "source": Space, "destination": Box}

_Entry = data.StructLayout({"valid": 1, "finished": 1, "issued": 1, **_COMMAND})


class Ledger(wiring.Component):
    """Gives each command a slot in order, collects its errors, and reports ends in order, one a cycle.

    The hazard rule: a command that reads from a box (source or list) starts only when every earlier command whose destination's box meets
    it is done. Other commands overlap: while one writes, the next one reads ahead.

    Members
    -------
    command : {tag, status, address, reads, source, destination}
        The command that could start now.
    source, list
        The boxes that it reads, the second one if `gathers`.
    start
        It may: there is a slot, and no hazard.
    started
        It does; it gets slot number `slot`.
    finished, issued
        Bit s: all writes of slot s are acknowledged; they have left for their port.
    read_error, write_error, index_error
        The first one of a command counts, that of a read where both come at once; errors of the bus go before bad indices.
    done
        Registered: one cycle for each command.
    busy
        A command is under way.
    tag
        Of the oldest one.
    waiting
        What the oldest one waits for where nothing else is known: MEMORY or OPERAND, by the space that it reads, or,
        once all its writes are issued (or it only fills), the one that it writes.
    """

    command: In(data.StructLayout(_COMMAND))
    source: In(Box)
    list: In(Box)
    gathers: In(1)
    start: Out(1)
    started: In(1)
    slot: Out(SLOT_BITS)
    finished: In(SLOTS)
    issued: In(SLOTS)
    read_error: In(BusError)
    write_error: In(BusError)
    index_error: In(IndexError)
    done: Out(data.StructLayout({"valid": 1, "completion": Completion}))
    busy: Out(1)
    tag: Out(16)
    waiting: Out(Cause)

    def elaborate(self, platform):
        m = Module()
        entries = [Signal(_Entry, name=f"entry{s}") for s in range(SLOTS)]
        oldest = Signal(SLOT_BITS)

        def meet(ours, theirs):
            return (ours.space == theirs.space) & (ours.low <= theirs.high) & (theirs.low <= ours.high)

        hazard = Signal()
        m.d.comb += hazard.eq(Cat(
            entry.valid & self._writes(entry)
            & ((self.command.reads & meet(self.source, entry.destination)) | (self.gathers & meet(self.list, entry.destination)))
            for entry in entries
        ).any())
        m.d.comb += self.start.eq(~Array(entry.valid for entry in entries)[self.slot] & ~hazard)

        for number, entry in enumerate(entries):
            with m.If(self.started & (self.slot == number)):
                m.d.sync += [entry.valid.eq(1), entry.finished.eq(0), entry.issued.eq(0)]
                m.d.sync += [entry[name].eq(self.command[name]) for name in _COMMAND]
            with m.If(self.finished[number]):
                m.d.sync += entry.finished.eq(1)
            with m.If(self.issued[number]):
                m.d.sync += entry.issued.eq(1)
            error = self.index_error
            with m.If(error.valid & (error.slot == number) & (entry.status == Status.OK)):
                m.d.sync += [entry.status.eq(Status.INDEX), entry.address.eq(error.address)]
            for error in (self.write_error, self.read_error):
                with m.If(error.valid & (error.slot == number) & ((entry.status == Status.OK) | (entry.status == Status.INDEX))):
                    m.d.sync += [entry.status.eq(Status.BUS), entry.address.eq(error.address)]
        with m.If(self.started):
            m.d.sync += self.slot.eq(self.slot + 1)

        head = Signal(_Entry)
        with m.Switch(oldest):
            for number, entry in enumerate(entries):
                with m.Case(number):
                    m.d.comb += head.eq(entry)
        ends = head.valid & head.finished
        m.d.sync += [
            self.done.valid.eq(ends), self.done.completion.status.eq(head.status), self.done.completion.address.eq(head.address),
        ]
        with m.If(ends):
            m.d.sync += oldest.eq(oldest + 1)
            for number, entry in enumerate(entries):
                with m.If(oldest == number):
                    m.d.sync += entry.valid.eq(0)

        space = Mux(head.reads & ~head.issued, head.source.as_value(), head.destination.space.as_value())
        m.d.comb += [
            self.busy.eq(head.valid), self.tag.eq(head.tag),
            self.waiting.eq(Mux(space == Space.L1.value, Cause.OPERAND, Cause.MEMORY)),
        ]
        return m

    @staticmethod
    def _writes(entry):
        """It was not refused."""
        return (entry.status == Status.OK) | (entry.status == Status.INDEX) | (entry.status == Status.BUS)
