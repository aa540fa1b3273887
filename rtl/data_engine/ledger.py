"""Ledger: the commands under way, from their start in the mid end to their `done`."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import SLOT_BITS, SLOTS
from rtl.data_engine.reader import BusError
from rtl.isa import Cause, Completion, Space, Status

__all__ = ["Ledger"]

_Entry = data.StructLayout({
    "valid": 1, "finished": 1, "issued": 1, "status": Status, "address": 32, "tag": 16, "copy": 1, "source": Space, "destination": Space,
})


class Ledger(wiring.Component):
    """Gives each command a slot in order, collects its errors, and reports ends in order, one a cycle.

    The hazard rule: a command that reads from a space starts only when every earlier command that writes to that space is done.
    Other commands overlap: while one writes, the next one reads ahead.

    Members
    -------
    command : {tag, status, address, copy, source, destination}
        The command that could start now.
    start
        It may: there is a slot, and no hazard.
    started
        It does; it gets slot number `slot`.
    finished, issued
        Bit s: all writes of slot s are acknowledged; they have left for their port.
    read_error, write_error
        The first one of a command counts, that of a read where both come at once.
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

    command: In(data.StructLayout({"tag": 16, "status": Status, "address": 32, "copy": 1, "source": Space, "destination": Space}))
    start: Out(1)
    started: In(1)
    slot: Out(SLOT_BITS)
    finished: In(SLOTS)
    issued: In(SLOTS)
    read_error: In(BusError)
    write_error: In(BusError)
    done: Out(data.StructLayout({"valid": 1, "completion": Completion}))
    busy: Out(1)
    tag: Out(16)
    waiting: Out(Cause)

    def elaborate(self, platform):
        m = Module()
        entries = [Signal(_Entry, name=f"entry{s}") for s in range(SLOTS)]
        oldest = Signal(SLOT_BITS)

        hazard = 0
        for entry in entries:
            hazard |= entry.valid & (entry.status == Status.OK) & (entry.destination == self.command.source)
        m.d.comb += self.start.eq(~Array(entry.valid for entry in entries)[self.slot] & ~(self.command.copy & hazard))

        for number, entry in enumerate(entries):
            with m.If(self.started & (self.slot == number)):
                m.d.sync += [entry.valid.eq(1), entry.finished.eq(0), entry.issued.eq(0)]
                m.d.sync += [entry[name].eq(self.command[name]) for name in ("tag", "status", "address", "copy", "source", "destination")]
            with m.If(self.finished[number]):
                m.d.sync += entry.finished.eq(1)
            with m.If(self.issued[number]):
                m.d.sync += entry.issued.eq(1)
            for error in (self.write_error, self.read_error):
                with m.If(error.valid & (error.slot == number) & (entry.status == Status.OK)):
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

        space = Mux(head.copy & ~head.issued, head.source.as_value(), head.destination.as_value())
        m.d.comb += [
            self.busy.eq(head.valid), self.tag.eq(head.tag),
            self.waiting.eq(Mux(space == Space.L1.value, Cause.OPERAND, Cause.MEMORY)),
        ]
        return m
