"""Two banks of accumulator rows: one takes part in the computation while the other drains."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.config import ChipConfig

__all__ = ["AccumulatorPort", "Accumulators"]


class AccumulatorPort(wiring.Signature):
    """Access to a row of a bank, from the side that asks."""

    def __init__(self, config: ChipConfig):
        super().__init__({"enable": Out(1), "bank": Out(1), "row": Out(range(config.accumulator_rows))})


class Accumulators(wiring.Component):
    """Each bank has `accumulator_rows` rows of `pe_columns` 32-bit values.

    Members
    -------
    fetch, fetched
        Row of the bank that computes; `fetched` is valid in the next cycle.
    store, stored
        Row to write, with its data.
    drain, drained
        Row of the bank that drains; `drained` is valid from the next cycle until the next `drain`.

    Who asks sees to it that `fetch` and `drain` never want the same bank, and that a row is fetched in a cycle after the one that
    stores it (`rtl/tensor/issue.py`).
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        row = data.ArrayLayout(32, config.pe_columns)
        port = AccumulatorPort(config)
        super().__init__({
            "fetch": In(port), "fetched": Out(row), "store": In(port), "stored": In(row), "drain": In(port), "drained": Out(row),
        })

    def elaborate(self, platform):
        m = Module()
        fetched_bank, drained_bank = Signal(), Signal()
        with m.If(self.fetch.enable):
            m.d.sync += fetched_bank.eq(self.fetch.bank)
        with m.If(self.drain.enable):
            m.d.sync += drained_bank.eq(self.drain.bank)
        read_data = []
        for number in range(2):
            bank = SramDual(self.config.accumulator_rows, 32 * self.config.pe_columns)
            m.submodules[f"bank{number}"] = bank
            fetch = self.fetch.enable & (self.fetch.bank == number)
            m.d.comb += [
                bank.read_enable.eq(fetch | (self.drain.enable & (self.drain.bank == number))),
                bank.read_address.eq(Mux(fetch, self.fetch.row, self.drain.row)),
                bank.write.eq(self.store.enable & (self.store.bank == number)),
                bank.write_address.eq(self.store.row), bank.write_data.eq(self.stored),
            ]  # fmt: skip
            read_data.append(bank.read_data)
        m.d.comb += [
            self.fetched.eq(Mux(fetched_bank, read_data[1], read_data[0])),
            self.drained.eq(Mux(drained_bank, read_data[1], read_data[0])),
        ]
        return m
