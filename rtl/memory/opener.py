"""Opens rows ahead of time: accesses pass in order through a precharge stage and an activate stage, on to the column commands."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo
from rtl.memory.address import BANKS
from rtl.memory.requests import column_request, row_request

__all__ = ["Opener"]


class Opener(wiring.Component):
    """Two stages with a FIFO of `depth` accesses behind each, so that rows open while older accesses still move data.

    The precharge stage decides: it knows which row each bank will have open once all accesses ahead are done. An access to that row
    passes; one to another row first has the bank precharged, which waits for the accesses ahead to it. The activate stage sends the
    ACTs in order. Timing is the sender's: grants come only when the rules allow.

    Members
    -------
    requests, columns
        Accesses in, and out once their row's ACT is on its way.
    hold
        The precharge stage takes no access.
    wanted, wanted_valid
        The bank of the access at the precharge stage.
    precharge, precharge_bank, precharge_grant
        Asks for a PRE.
    activate, activate_bank, activate_row, activate_grant, activated
        Asks for an ACT; `activated` is its second clock, in which the access passes.
    close, close_bank, close_all
        The refresh closes a bank, or all (they have no access).
    column, column_bank
        A column command to this bank goes out.
    open, busy
        For each bank: a row is or will be open; accesses are on their way.
    """

    precharge: Out(1)
    precharge_bank: Out(4)
    precharge_grant: In(1)
    activate: Out(1)
    activate_bank: Out(4)
    activate_row: Out(15)
    activate_grant: In(1)
    activated: In(1)
    close: In(1)
    close_bank: In(4)
    close_all: In(1)
    column: In(1)
    column_bank: In(4)
    hold: In(1)
    wanted: Out(4)
    wanted_valid: Out(1)
    open: Out(BANKS)
    busy: Out(BANKS)
    requests: In(stream.Signature(row_request()))
    columns: Out(stream.Signature(column_request()))

    def __init__(self, row_bits: int, depth: int = 16):
        self.row_bits = row_bits
        self.depth = depth
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.activates = activates = StreamFifo(row_request(), self.depth)
        m.submodules.columns = columns = StreamFifo(column_request(), self.depth)
        wiring.connect(m, columns.output, wiring.flipped(self.columns))

        # Precharge stage.
        request = self.requests.payload
        bank = request.location.bank << 2 | request.location.group
        row = request.location.row[:self.row_bits]
        rows = Array(Signal(self.row_bits, name=f"row{index}") for index in range(BANKS))
        is_open = Array(self.open)[bank]
        hit = is_open & (rows[bank] == row)
        step = Signal()
        m.d.comb += [
            self.wanted.eq(bank), self.wanted_valid.eq(self.requests.valid),
            step.eq(self.requests.valid & ~self.hold & activates.input.ready & (hit | ~is_open)),
            self.requests.ready.eq(step),
            activates.input.valid.eq(step), activates.input.payload.eq(request), activates.input.payload.activate.eq(~is_open),
            self.precharge.eq(self.requests.valid & ~self.hold & is_open & ~hit & ~Array(self.busy)[bank]),
            self.precharge_bank.eq(bank),
        ]
        for index in range(BANKS):
            here = step & (bank == index)
            gone = self.column & (self.column_bank == index)
            # Accesses between here and their column command: both FIFOs, and the few in the stages between and behind them.
            waiting = Signal(range(2 * self.depth + 16), name=f"waiting{index}")
            m.d.comb += self.busy[index].eq(waiting != 0)
            with m.If(here & ~gone):
                m.d.sync += waiting.eq(waiting + 1)
            with m.Elif(gone & ~here):
                m.d.sync += waiting.eq(waiting - 1)
            with m.If(here):
                m.d.sync += [self.open[index].eq(1), rows[index].eq(row)]
            with m.Elif(
                self.close_all | (self.close & (self.close_bank == index)) | (self.precharge_grant & (bank == index))
            ):
                m.d.sync += self.open[index].eq(0)

        # Activate stage.
        head = activates.output.payload
        head_bank = head.location.bank << 2 | head.location.group
        granted = Signal()
        passes = Mux(head.activate, self.activated, 1)
        with m.If(self.activate_grant):
            m.d.sync += granted.eq(1)
        with m.Elif(self.activated):
            m.d.sync += granted.eq(0)
        m.d.comb += [
            self.activate.eq(activates.output.valid & head.activate & ~granted & columns.input.ready),
            self.activate_bank.eq(head_bank), self.activate_row.eq(head.location.row),
            columns.input.valid.eq(activates.output.valid & passes),
            activates.output.ready.eq(columns.input.ready & passes),
            columns.input.payload.bank.eq(head_bank), columns.input.payload.column.eq(head.location.column),
            columns.input.payload.slot.eq(head.slot), columns.input.payload.write.eq(head.write),
        ]
        return m
