"""The sequencer: runs one sequencer's part of a job, from its launch to the record of how it ended."""

from amaranth import C, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import FABRIC_ADDRESS_BITS, AXI4Read
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Activity, Cause, Engine, RunOperand, Status
from rtl.sequencer.events import EventCounters
from rtl.sequencer.execute import Execute
from rtl.sequencer.fetch import Fetch
from rtl.sequencer.interface import DONE, ENDED, SIGNALS, EndRecord, LaunchRequest, RemoteSignal
from rtl.sequencer.lane import EngineLane
from rtl.sequencer.loader import Loader

__all__ = ["DRAIN_CYCLES", "RESET_CYCLES", "Sequencer"]

#: Length of `engine_reset`: L1 responses that are on their way have arrived by then.
RESET_CYCLES = 64

#: The data engine counts as drained once it was idle for so long, longer than it takes to show a command that it just took.
DRAIN_CYCLES = 16


class Sequencer(wiring.Component):
    """Fetches a program from L3, runs it, feeds the engines and counts events. One per SIP; the cluster's own has DATA alone.

    Parameters
    ----------
    cluster : bool
        The cluster's own sequencer: without the members `tensor`, `vector` and their `_done`.

    Members
    -------
    index : 5 bit
        Constant: number of this sequencer, that is the SIP, or `sips` for the cluster's. The program is that entry of the image.
    launch
        Starts a job. Ready while no job runs.
    ended : {valid, record}
        One pulse at the end of this part of the job; nothing of it is in flight any more.
    cancel
        Another part of the job failed: this one stops and ends with ABORTED. Ignored while no job runs.
    watchdog : 32 bit
        Cycles without progress after which the job ends with WATCHDOG. Progress is an executed instruction, a command taken or given
        back by an engine, a beat of instructions, or a `busy` engine.
    fetch
        AXI4 read master; at most `config.outstanding` bursts, each inside one aligned 256-byte chunk.
    tensor, vector, data, tensor_done, vector_done, data_done
        Commands to the engines, at most two at a time in an engine, and one pulse for each that is done, in order.
    busy : bit per `Engine`
        The engine does useful work.
    data_idle
        The data engine holds no command and no burst of it is in flight.
    signal_out, signal_in
        Events for and from the other sequencers, through :class:`rtl.sequencer.router.EventRouter`. `signal_in` is always taken,
        and has an effect while a job runs.
    data_flush
        While high, the data engine drops the commands that it has not started.
    engine_reset
        After a failed job, for `RESET_CYCLES`: reset the tensor core and the vector engine.
    activity
        What the sequencer itself does: BUSY executes, MEMORY waits for an instruction, EVENT waits for events, an engine or room in
        a queue.
    waiting : bit per `Engine`
        The oldest queued command of the engine waits for an event.
    issue, completion
        An engine took a command, gave one back.
    """

    def __init__(self, config: ChipConfig, cluster: bool = False):
        self.config = config
        self.cluster = cluster
        self.engines = (Engine.DATA,) if cluster else tuple(COMMANDS)
        members = {
            "index": In(5),
            "launch": In(stream.Signature(LaunchRequest)),
            "ended": Out(ENDED),
            "cancel": In(1),
            "watchdog": In(32),
            "fetch": Out(AXI4Read(FABRIC_ADDRESS_BITS, config.bus_bytes, 1)),
            "busy": In(len(COMMANDS)),
            "data_idle": In(1),
            "signal_out": Out(stream.Signature(RemoteSignal)),
            "signal_in": In(SIGNALS),
            "data_flush": Out(1),
            "engine_reset": Out(1),
            "activity": Out(Activity),
            "waiting": Out(len(COMMANDS)),
            "issue": Out(1),
            "completion": Out(1),
        }
        for engine in self.engines:
            members[engine.name.lower()] = Out(stream.Signature(COMMANDS[engine]))
            members[f"{engine.name.lower()}_done"] = In(DONE)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        start, loading, running, stopping = Signal(), Signal(), Signal(), Signal()

        m.submodules.fetch = fetch = Fetch(self.config)
        loader = Loader(self.config)
        m.submodules.loader = ResetInserter(stopping)(loader)
        m.submodules.execute = execute = Execute(self.config, self.engines)
        m.submodules.events = events = EventCounters(len(self.engines) + 1)
        lanes = {engine: EngineLane(COMMANDS[engine], self.config.queue_depth) for engine in self.engines}
        for engine, lane in lanes.items():
            m.submodules[f"{engine.name.lower()}_lane"] = lane

        self._connect_fetch(m, fetch, loader, execute, loading)
        self._connect_lanes(m, lanes, events, execute, start, stopping)
        failed, record = self._signals(m, lanes, events, execute)

        # The first failure ends the job. Engines go first: what the sequencer finds may be a consequence.
        request = Signal(LaunchRequest)
        timer = Signal(32)
        late = timer >= self.watchdog
        found, error = Signal(), Signal(EndRecord)
        m.d.comb += [
            error.engine.eq(Engine.SEQUENCER),
            loader.request.eq(request), loader.index.eq(self.index), loader.start.eq(start), execute.start.eq(start),
            execute.enable.eq(running),
        ]
        with m.If(failed):
            m.d.comb += [found.eq(1), error.eq(record)]
        with m.Elif(loader.fault.valid):
            m.d.comb += [found.eq(1), error.status.eq(loader.fault.status), error.address.eq(loader.fault.address)]
        with m.Elif(running & execute.fault.valid):
            m.d.comb += [found.eq(1), error.eq(execute.fault.record)]
        with m.Elif(late | self.cancel):
            m.d.comb += [found.eq(1), error.status.eq(Mux(late, Status.WATCHDOG, Status.ABORTED))]
            with m.If(running):
                m.d.comb += [error.pc.eq(execute.fault.record.pc), error.command.eq(Mux(fetch.word.valid, fetch.word.payload.data, 0))]

        drained = Signal(range(DRAIN_CYCLES + 1))
        pulse = Signal(range(RESET_CYCLES))
        end = self.ended.record
        quiet = Mux(fetch.idle, ~self.signal_out.valid, 0)
        m.d.sync += self.ended.valid.eq(0)

        def watch():
            with m.If(found):
                m.d.sync += [end.eq(error), drained.eq(0)]
                m.next = "STOP"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.launch.ready.eq(1), events.clear.eq(1), start.eq(self.launch.valid)]
                with m.If(self.launch.valid):
                    m.d.sync += [request.eq(self.launch.payload), end.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += loading.eq(1)
                with m.If(loader.loaded):
                    m.next = "RUN"
                watch()
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(execute.ended):
                    m.d.sync += end.engine.eq(Engine.SEQUENCER)
                    m.next = "CLOSE"
                watch()
            with m.State("CLOSE"):
                m.d.comb += fetch.close.eq(1)
                with m.If(quiet | late):
                    m.next = "END"
            with m.State("STOP"):
                # An engine or a bus that never drains must not hang the chip: the watchdog ends this too.
                m.d.comb += [stopping.eq(1), fetch.close.eq(1)]
                m.d.sync += [drained.eq(Mux(self.data_idle, drained + 1, 0)), pulse.eq(RESET_CYCLES - 1)]
                with m.If(drained == DRAIN_CYCLES):
                    m.d.sync += drained.eq(drained)
                with m.If((quiet & (drained == DRAIN_CYCLES)) | late):
                    m.next = "END" if self.cluster else "RESET"
            with m.State("RESET"):
                m.d.comb += stopping.eq(1)
                m.d.sync += pulse.eq(pulse - 1)
                with m.If(pulse == 0):
                    m.next = "END"
            with m.State("END"):
                m.d.comb += events.clear.eq(1)
                m.d.sync += self.ended.valid.eq(1)
                m.next = "IDLE"

        m.d.sync += [
            self.data_flush.eq(stopping),
            self.engine_reset.eq(stopping & ~fetch.close if not self.cluster else 0),
        ]
        progress = start | execute.executed | fetch.beat | self.issue | self.completion | self.busy.any()
        # A fresh count for the drain after a failure.
        with m.If(progress | (found & ~stopping)):
            m.d.sync += timer.eq(0)
        with m.Elif(~late):
            m.d.sync += timer.eq(timer + 1)

        m.d.sync += self.activity.cause.eq(Cause.IDLE)
        with m.If(running):
            m.d.sync += self.activity.cause.eq(execute.cause)
        with m.Elif(loading):
            m.d.sync += self.activity.cause.eq(Mux(fetch.word.valid, Cause.BUSY, Cause.MEMORY))
        with m.Elif(stopping):
            m.d.sync += self.activity.cause.eq(Cause.EVENT)
        return m

    def _connect_fetch(self, m, fetch, loader, execute, loading):
        """The loader reads first, then the instructions flow."""
        wiring.connect(m, wiring.flipped(self.fetch), fetch.axi)
        m.d.comb += [
            fetch.window.eq(loader.window),
            loader.word.payload.eq(fetch.word.payload), loader.word.valid.eq(fetch.word.valid & loading), loader.pc.eq(fetch.pc),
            execute.word.payload.eq(fetch.word.payload), execute.word.valid.eq(fetch.word.valid), execute.pc.eq(fetch.pc),
            fetch.word.ready.eq(Mux(loading, loader.word.ready, execute.word.ready)),
            fetch.jump.eq(execute.jump), fetch.keep.eq(execute.keep),
            execute.argument.eq(loader.argument),
        ]

    def _connect_lanes(self, m, lanes, events, execute, start, stopping):
        """Instructions to lanes, lanes to events and engines."""
        idle, ready, waiting = ({engine: 1 for engine in COMMANDS} for _ in range(3))
        for priority, (engine, lane) in enumerate(lanes.items()):
            name = engine.name.lower()
            wiring.connect(m, wiring.flipped(getattr(self, name)), lane.command)
            wait = events.waits[priority]
            m.d.comb += [
                lane.clear.eq(start), lane.flush.eq(stopping),
                lane.done.eq(getattr(self, f"{name}_done")),
                lane.word.field.eq(execute.command_word.field),
                lane.word.value.eq(execute.command_word.value),
                lane.word.valid.eq(execute.command_word.valid & (execute.command_word.engine == engine)),
                lane.run.payload.eq(execute.run.run),
                lane.run.valid.eq(execute.run.valid & (execute.run.engine == engine)),
                wait.events.eq(lane.events), wait.request.eq(lane.request),
                lane.available.eq(wait.available), lane.take.eq(wait.take),
            ]
            idle[engine], ready[engine], waiting[engine] = lane.empty, lane.run.ready, lane.waiting
        for engine in COMMANDS:
            if engine not in lanes:
                waiting[engine] = 0
        wiring.connect(m, execute.wait, events.waits[len(lanes)])
        m.d.comb += [
            execute.idle.eq(Cat(idle.values())), execute.run_ready.eq(Cat(ready.values())), self.waiting.eq(Cat(waiting.values())),
            self.issue.eq(Cat(lane.issued for lane in lanes.values()).any()),
            self.completion.eq(Cat(lane.completed for lane in lanes.values()).any()),
        ]

    def _signals(self, m, lanes, events, execute):
        """Sends the events of finished commands and of SIGNAL, one source a cycle, here or to the router.

        Returns whether a command failed or an event overflowed, and the record of that.
        """
        m.submodules.signals = signals = StreamRegister(RemoteSignal)
        wiring.connect(m, wiring.flipped(self.signal_out), signals.output)
        failed, record = Signal(), Signal(EndRecord)
        m.d.comb += [
            events.remote.eq(self.signal_in),
            execute.signal.ready.eq(0),
            record.engine.eq(Engine.SEQUENCER),
        ]
        with m.If(events.remote_overflow):
            m.d.comb += [failed.eq(1), record.status.eq(Status.EVENT_OVERFLOW)]
        taken = C(0)
        for engine, lane in lanes.items():
            finished = lane.finished
            run, completion = finished.payload.run, finished.payload.completion
            good = completion.status == Status.OK
            remote = good & run.instruction.reg
            with m.If(finished.valid & ~taken):
                m.d.comb += [
                    finished.ready.eq(~remote | signals.input.ready),
                    signals.input.valid.eq(remote),
                    signals.input.payload.target.eq(run.instruction.field),
                    signals.input.payload.events.eq(RunOperand(run.instruction.imm).signal),
                    events.local.valid.eq(good & ~remote),
                    events.local.events.eq(RunOperand(run.instruction.imm).signal),
                ]
                with m.If(~good | events.local_overflow):
                    m.d.comb += failed.eq(1)
                    m.d.comb += record.eq(Cat(Mux(good, Status.EVENT_OVERFLOW, completion.status.as_value()), engine,
                                              Mux(good, 0, completion.address), run.pc, run.instruction))
            taken = taken | finished.valid
        with m.If(execute.signal.valid & ~taken):
            remote = execute.signal.payload.remote
            m.d.comb += [
                execute.signal.ready.eq(~remote | signals.input.ready),
                signals.input.valid.eq(remote), signals.input.payload.eq(execute.signal.payload.signal),
                events.local.valid.eq(~remote), events.local.events.eq(execute.signal.payload.signal.events),
            ]
            with m.If(events.local_overflow):
                m.d.comb += [
                    failed.eq(1), record.status.eq(Status.EVENT_OVERFLOW),
                    record.pc.eq(execute.run.run.pc), record.command.eq(execute.run.run.instruction),
                ]
        return failed, record
