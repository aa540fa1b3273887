"""Starting and stopping: the mode registers first, then the scheduler; and back."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.dfi import RowCommand, RowOperation
from rtl.memory.timing import TIMER_BITS, TimingValues

__all__ = ["MODE_CLOCKS", "SETTLE_CLOCKS", "StartUp"]

#: Clocks from reset, or from RUN, to the first MRS. The boundary has neither RESET_n nor CKE: the 200 us of reset and the 500 us behind it
#: that JESD235 asks for belong to whoever drives those pins and releases the controller's reset.
SETTLE_CLOCKS = 16

#: From an MRS to the next command of any kind: tMRD and tMOD, of which the longer one is 15 clocks.
MODE_CLOCKS = 16


class StartUp(wiring.Component):
    """Steps in the clocks of the memory, as everything around it.

    `wanted` high: settles, sets mode register 0 to RL and 1 to WL, then lets the scheduler run and the guard take requests.
    `wanted` low: holds the guard, waits until it is idle, stops the scheduler, waits until it has `stopped`, and then for tRFC, so that
    no bank is busy any more. A change of `wanted` on the way there or back counts only at its end.

    Parameters
    ----------
    settle
        Clocks before the first MRS.

    Members
    -------
    wanted
        CONTROL.RUN.
    timing
        Constant while `wanted` or not `rests`.
    row
        Mode register commands, NOP in all other clocks; has the row bus until `run`.
    hold, idle
        To and from the guard.
    run, stopped
        To and from the scheduler: it serves requests; it has nothing pending and all banks are closed.
    ready, rests
        Requests are served; nothing happens and the registers of timing may change.
    """

    def __init__(self, settle: int = SETTLE_CLOCKS):
        if settle < 1:
            raise ValueError(f"the device settles for at least 1 clock, not {settle}")
        self.settle = settle
        super().__init__({
            "wanted": In(1), "timing": In(TimingValues), "row": Out(RowCommand),
            "hold": Out(1, init=1), "idle": In(1), "run": Out(1), "stopped": In(1), "ready": Out(1), "rests": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        left = Signal(max(TIMER_BITS, self.settle.bit_length()))
        mode = Signal()
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.sync += self.row.operation.eq(RowOperation.NOP)
        with m.FSM():
            with m.State("RESTS"):
                m.d.comb += self.rests.eq(1)
                with m.If(self.wanted):
                    m.d.sync += [left.eq(self.settle - 1), mode.eq(0)]
                    m.next = "MODES"
            with m.State("MODES"):
                with m.If(left == 0):
                    m.d.sync += [
                        self.row.operation.eq(RowOperation.MRS), self.row.bank.eq(mode),
                        self.row.row.eq(Mux(mode, self.timing.WL, self.timing.RL)),
                        left.eq(MODE_CLOCKS - 1), mode.eq(1),
                    ]
                    with m.If(mode):
                        m.next = "SET"
            with m.State("SET"):
                with m.If(left == 0):
                    m.d.sync += [self.run.eq(1), self.hold.eq(0), self.ready.eq(1)]
                    m.next = "RUNS"
            with m.State("RUNS"):
                with m.If(~self.wanted):
                    m.d.sync += [self.hold.eq(1), self.ready.eq(0)]
                    m.next = "HELD"
            with m.State("HELD"):
                # The guard sees `hold` in this clock for the first time.
                m.next = "DRAINS"
            with m.State("DRAINS"):
                with m.If(self.idle):
                    m.d.sync += self.run.eq(0)
                    m.next = "STOPS"
            with m.State("STOPS"):
                # And the scheduler sees `run` low: what it says of itself counts from the next clock on.
                m.next = "CLOSES"
            with m.State("CLOSES"):
                with m.If(self.stopped):
                    m.d.sync += left.eq(self.timing.tRFC)
                    m.next = "CLOSED"
            with m.State("CLOSED"):
                with m.If(left == 0):
                    m.next = "RESTS"
        return m
