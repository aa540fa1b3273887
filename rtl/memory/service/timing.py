"""The timing registers: base values as the host writes them, and the sums that the timers load."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.timing import BURST_CLOCKS, TIMER_BITS, TimingSet, TimingValues

__all__ = ["MAX_LATENCY", "TimingRegisters", "timing_bits"]

#: The most that RL and WL may be.
MAX_LATENCY = 60


def timing_bits(name: str) -> int:
    """Width of the register of a parameter of :class:`TimingSet`."""
    fields = TimingValues.as_shape()
    return fields[name].width if name in dict(fields) else TIMER_BITS


class TimingRegisters(wiring.Component):
    """One register for each of `TimingSet.parameters()`, with the values of `timing` after reset.

    Sums follow one clock after a write. One that its timer can't hold is the most that it can; RD to WR is at least 1.

    Members
    -------
    write, value
        A bit for each register, and what it gets. The values are those of a set that doesn't contradict itself: the host's duty.
    base
        What the registers hold, each in 16 bits.
    values
        For the scheduler.
    """

    def __init__(self, timing: TimingSet):
        self.timing = timing
        names = timing.parameters()
        super().__init__({
            "write": In(len(names)), "value": In(16), "base": Out(16).array(len(names)), "values": Out(TimingValues),
        })

    def elaborate(self, platform):
        m = Module()
        reset = self.timing.values()
        base = {name: Signal(timing_bits(name), name=name, init=getattr(self.timing, name)) for name in self.timing.parameters()}
        for number, register in enumerate(base.values()):
            m.d.comb += self.base[number].eq(register)
            with m.If(self.write[number]):
                m.d.sync += register.eq(self.value)

        write_end = base["WL"] + BURST_CLOCKS
        to_write = base["RL"] + BURST_CLOCKS + base["tRTW_GAP"] - base["WL"]
        sums = {
            "write_to_precharge": write_end + base["tWR"], "write_to_read_S": write_end + base["tWTR_S"],
            "write_to_read_L": write_end + base["tWTR_L"], "read_to_write": Mux(to_write < 1, 1, to_write),
        }
        most = (1 << TIMER_BITS) - 1
        for name, _ in TimingValues.as_shape():
            if name in sums:
                total = Signal(TIMER_BITS, name=name, init=reset[name])
                m.d.sync += total.eq(Mux(sums[name] > most, most, sums[name]))
                m.d.comb += self.values[name].eq(total)
            else:
                m.d.comb += self.values[name].eq(base[name])
        return m
