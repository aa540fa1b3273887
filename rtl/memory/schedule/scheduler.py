"""The scheduler: from requests in order to DRAM commands, and back to the data."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import number_of
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.memory.address import BANKS, AddressMap, Location
from rtl.memory.bank import BankTimers
from rtl.memory.channel import ChannelTimers
from rtl.memory.dfi import ColumnCommand, ColumnOperation, RowCommand, RowOperation
from rtl.memory.interface import CHECK_BITS, BusCause, coded_request, fetched
from rtl.memory.schedule.cause import CauseFinder
from rtl.memory.schedule.columns import ReadChoice
from rtl.memory.schedule.data import ReadReturn, WriteData
from rtl.memory.schedule.direction import Direction
from rtl.memory.schedule.entries import located_request, pick
from rtl.memory.schedule.pool import WritePool
from rtl.memory.schedule.reads import BankReads
from rtl.memory.schedule.recency import Recency
from rtl.memory.schedule.refresh import Refresh
from rtl.memory.schedule.rows import RowChoice
from rtl.memory.schedule.staging import Staging
from rtl.memory.timers import Timer
from rtl.memory.timing import TimingValues

__all__ = ["Scheduler"]


class Scheduler(wiring.Component):
    """See `docs/memory_scheduler.md`. It is used below an `EnableInserter` of `enable`.

    Members
    -------
    enable
        Steps what is emitted once; the rest is stepped from outside.
    requests
        In order, one a clock.
    fetched
        Atoms that were read, in any order.
    row, column, write_data, write_check, write_mask, read_data, read_check, read_valid
        As in :class:`rtl.memory.dfi.DFI`.
    timing, masks
        The timing set, and the row bits that move each bank bit; constant while it runs.
    run, stopped
        Start-up is over: requests are taken. Cleared, what waits is done, then all rows are closed: `stopped`.
    refresh_all
        All banks are refreshed together. Constant while it runs.
    close_after
        A row that nobody uses is closed after one to two times as many clocks; 0: never.
    age_limit
        A request has expired after a half to one times as many clocks; 0: never.
    cause
        What the data bus does, in the clock of the column command.
    owed
        Bank refreshes that are due and not done; negative: done in advance.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        self.map = AddressMap(config.dram_rows)
        super().__init__({
            "enable": In(1),
            "requests": In(stream.Signature(coded_request(self.map.atom_bits))),
            "fetched": Out(fetched(self.map.atom_bits)),
            "row": Out(RowCommand), "column": Out(ColumnCommand),
            "write_data": Out(256), "write_check": Out(CHECK_BITS), "write_mask": Out(32),
            "read_data": In(256), "read_check": In(CHECK_BITS), "read_valid": In(1),
            "timing": In(TimingValues), "masks": In(15).array(4),
            "run": In(1), "stopped": Out(1, init=1), "refresh_all": In(1), "close_after": In(16), "age_limit": In(16),
            "cause": Out(BusCause, init=BusCause.STOPPED), "owed": Out(signed(12)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.intake = self._intake = StreamRegister(located_request())
        m.submodules.staging = self._staging = Staging(config.read_staging)
        m.submodules.pool = self._pool = WritePool(config.write_pool)
        m.submodules.write_data = self._data = WriteData(config.write_pool)
        m.submodules.returns = self._returns = ReadReturn(self.map.atom_bits)
        m.submodules.direction = self._direction = Direction()
        m.submodules.refresh = self._refresh = Refresh()
        m.submodules.rows = self._rows = RowChoice()
        m.submodules.recency = self._recency = Recency(("activate", "close"), ("idle", "busy"))
        m.submodules.choice = self._choice = ReadChoice()
        m.submodules.channel = self._channel = ChannelTimers()
        m.submodules.tRFC = self._all_banks = Timer()
        m.submodules.cause = self._cause = CauseFinder()
        self._queues = [BankReads(config.read_queue) for _ in range(BANKS)]
        self._banks = [BankTimers() for _ in range(BANKS)]
        for index, (queue, bank) in enumerate(zip(self._queues, self._banks, strict=True)):
            m.submodules[f"reads{index}"], m.submodules[f"bank{index}"] = queue, bank
            m.d.comb += [queue.enable.eq(self.enable), bank.enable.eq(self.enable), bank.timing.eq(self.timing)]
        m.d.comb += self._channel.timing.eq(self.timing)

        self._vectors(m)
        self._locate(m)
        self._accept(m)
        self._column_command(m)
        self._row_command(m)
        self._turn(m)
        self._refreshes(m)
        self._data_path(m)
        self._explain(m)
        return m

    def _vector(self, m: Module, name: str, bits, width: int = BANKS) -> Signal:
        """A named vector of one bit for each bank."""
        vector = Signal(width, name=name)
        m.d.comb += vector.eq(Cat(*bits) if not hasattr(bits, "shape") else bits)
        return vector

    def _vectors(self, m: Module):
        """What all parts look at."""
        queues, banks, channel, pool = self._queues, self._banks, self._channel, self._pool
        direction = self._direction

        def read(name: str) -> Signal:
            return self._vector(m, f"read_{name}", [getattr(queue, name) for queue in queues])

        def timer(name: str) -> Signal:
            return self._vector(m, name, [getattr(bank, name) for bank in banks])

        self._open, self._opening = read("open"), read("opening")
        self._read_any, self._room, self._read_expired = read("any"), read("room"), read("expired")
        # A row that no longer serves what hits it: it is to be closed for a refresh, or for an expired request to another row.
        closing = self._refresh.close
        self._read_hits = self._vector(m, "read_hits", read("hit") & ~read("capped") & ~closing)
        self._write_hits = self._vector(m, "write_hits", pool.hits & ~pool.capped & ~closing)
        self._can_activate, self._can_refresh, self._can_precharge = (
            timer(name) for name in ("can_activate", "can_refresh", "can_precharge"))
        self._bank_can_read, self._bank_can_write = timer("can_read"), timer("can_write")
        self._legal_read = self._vector(m, "legal_read", self._bank_can_read & Cat(channel.can_read[b & 3] for b in range(BANKS)))
        self._legal_write = self._vector(m, "legal_write", self._bank_can_write & Cat(channel.can_write[b & 3] for b in range(BANKS)))
        writing = direction.writing

        def sides(name: str, reads, writes):
            pairs = (("here", writes, reads), ("there", reads, writes))
            return (self._vector(m, f"{name}_{side}", Mux(writing, one, other)) for side, one, other in pairs)

        self._here, self._there = sides("waits", self._read_any, pool.any)
        self._hits_here, self._hits_there = sides("hits", self._read_hits, self._write_hits)
        self._requested = self._vector(m, "requested", self._read_any | pool.any)
        # Banks to open first: reads may be staged behind a full queue, one is urgent or has expired; the oldest writes of the pool.
        self._pressing, self._pressing_there = sides(
            "pressing", ~self._room | self._read_expired | read("urgent"), pool.pressing)
        self._urgent_hits = read("urgent_hit")

        # Half an age limit, and a page's idle time.
        for name, clocks, scale in (("age", self.age_limit, 1), ("idle", self.close_after, 0)):
            left, tick = Signal(16, name=f"{name}_left"), Signal(name=f"{name}_tick")
            m.d.sync += [left.eq(Mux(left.any(), left - 1, clocks >> scale)), tick.eq((left == 1) & clocks.any())]
            setattr(self, f"_{name}_tick", tick)

    def _locate(self, m: Module):
        """Address to place, in front of the first register."""
        intake, request = self._intake, self.requests.payload
        located = intake.input.payload
        row = request.atom[9:]
        parity = [(row & mask).xor() for mask in self.masks]
        taken = self.run & ~self.stopped
        m.d.comb += [
            located.location.row.eq(row), located.location.column.eq(Cat(request.atom[0], request.atom[3:7])),
            located.location.group.eq(request.atom[1:3] ^ Cat(*parity[:2])),
            located.location.bank.eq(request.atom[7:9] ^ Cat(*parity[2:])),
            *(getattr(located, name).eq(getattr(request, name)) for name in ("write", "urgent", "tag", "data", "strobe", "check")),
            intake.input.valid.eq(self.requests.valid & taken), self.requests.ready.eq(intake.input.ready & taken),
        ]

    def _accept(self, m: Module):
        """The request at the intake goes to its place, or waits."""
        intake, staging, pool, buffer, returns = self._intake, self._staging, self._pool, self._data, self._returns
        item = intake.output.payload
        location, valid = item.location, intake.output.valid
        bank = self._vector(m, "item_bank", 1 << location.as_value()[5:9])
        read, write = Signal(), Signal()
        m.d.comb += [read.eq(valid & ~item.write), write.eq(valid & item.write)]

        direct, staged = Signal(), Signal()
        can_stage = staging.free
        waits = read & pool.found & ~pool.found_whole
        forwards = read & pool.found_whole & ~returns.busy & ~buffer.busy
        enters = read & ~pool.found
        m.d.comb += [
            # Staged reads go first; if none can, none of this bank is staged while it has room.
            direct.eq(enters & ~staging.moves & (bank & self._room).any()),
            staged.eq(enters & ~direct & can_stage),
        ]
        same_read = (bank & self._vector(m, "holds", [queue.holds for queue in self._queues])).any() | staging.holds
        new, merge = Signal(), Signal()
        m.d.comb += [
            merge.eq(write & ~same_read & pool.found), new.eq(write & ~same_read & ~pool.found & pool.room & buffer.free),
            intake.output.ready.eq(forwards | direct | staged | merge | new),
        ]
        full_stop = write & ~same_read & ~pool.found & ~pool.room
        self._blocked = Signal()
        m.d.sync += self._blocked.eq(waits | full_stop)

        pushed_bank = self._vector(
            m, "pushed_bank", Mux(staging.moves, 1 << staging.moved.as_value()[5:9], Mux(direct, bank, 0)))
        source, tag = Mux(staging.moves, staging.moved, location), Mux(staging.moves, staging.moved_tag, item.tag)
        pushed = Signal(Location)
        ticks = Signal(2)
        m.d.comb += [pushed.eq(source), ticks.eq(Mux(staging.moves, staging.moved_ticks, 0))]
        for index, queue in enumerate(self._queues):
            m.d.comb += [
                queue.tick.eq(self._age_tick), queue.push.eq(pushed_bank[index]), queue.pushed_ticks.eq(ticks),
                queue.pushed_urgent.eq(Mux(staging.moves, staging.moved_urgent, item.urgent)),
                queue.pushed.column.eq(pushed.column), queue.pushed.row.eq(pushed.row), queue.pushed.tag.eq(tag),
                queue.probe_row.eq(location.row), queue.probe_column.eq(location.column),
            ]
        row_open = (bank & self._vector(m, "same_row", [queue.same_row for queue in self._queues])).any()
        m.d.comb += [
            staging.tick.eq(self._age_tick), staging.push.eq(staged), staging.location.eq(location), staging.tag.eq(item.tag),
            staging.urgent.eq(item.urgent),
            staging.room.eq(self._room), staging.probe.eq(location),
            pool.tick.eq(self._age_tick), pool.probe.eq(location), pool.push.eq(new), pool.slot.eq(buffer.free_slot),
            pool.whole.eq(item.strobe.all()), pool.hit.eq(row_open), pool.merge.eq(merge),
            buffer.enable.eq(self.enable), buffer.write_latency.eq(self.timing.WL), buffer.write.eq(new | merge), buffer.merge.eq(merge),
            buffer.slot.eq(Mux(merge, pool.found_slot, buffer.free_slot)),
            buffer.data.eq(item.data), buffer.strobe.eq(item.strobe), buffer.check.eq(item.check),
            buffer.forward.eq(forwards), buffer.forward_slot.eq(pool.found_slot),
            returns.forward.eq(forwards), returns.forward_location.eq(location), returns.forward_tag.eq(item.tag),
        ]
        self._any_read = self._read_any.any() | ~staging.empty

    def _column_command(self, m: Module):
        channel, pool, choice, writing = self._channel, self._pool, self._choice, self._direction.writing
        active = ~self.stopped
        m.d.comb += [
            choice.ready.eq(self._read_hits & self._legal_read & (active & ~writing).replicate(BANKS)), choice.opened.eq(self._opening),
            choice.expired.eq(self._read_expired), choice.urgent.eq(self._urgent_hits), choice.wanted.eq(pool.any & ~pool.hits),
        ]
        takes = choice.chosen
        m.d.comb += pool.legal.eq(self._legal_write & self._write_hits & (active & writing).replicate(BANKS))

        self._reads_now, self._writes_now = Signal(), pool.issue
        m.d.comb += self._reads_now.eq(choice.ready.any())
        read_bank = number_of(takes)
        read_column = pick(takes, [queue.column for queue in self._queues])
        read_tag = pick(takes, [queue.tag for queue in self._queues])
        bank = Signal(4)
        used = self._vector(m, "used", takes | Mux(self._writes_now, 1 << pool.issue_bank, 0))
        m.d.comb += [
            bank.eq(Mux(writing, pool.issue_bank, read_bank)),
            self._recency.used.eq(used), choice.used.eq(used),
            channel.read.eq(self._reads_now), channel.write.eq(self._writes_now), channel.column_group.eq(bank[:2]),
            self._returns.issue.eq(self._reads_now), self._returns.tag.eq(read_tag),
            self._returns.location.column.eq(read_column), Cat(self._returns.location.group, self._returns.location.bank).eq(read_bank),
            self._returns.location.row.eq(pick(takes, [queue.open_row for queue in self._queues])),
            self._data.issue.eq(self._writes_now), self._data.issue_slot.eq(pool.issue_slot),
        ]
        for index, (queue, timers) in enumerate(zip(self._queues, self._banks, strict=True)):
            m.d.comb += [queue.take.eq(takes[index]), timers.read.eq(takes[index]), timers.write.eq(used[index] & self._writes_now)]
        self._used = used
        operation = Mux(self._reads_now, ColumnOperation.RD, Mux(self._writes_now, ColumnOperation.WR, ColumnOperation.NOP))
        m.d.sync += [
            self.column.operation.eq(operation),
            self.column.group.eq(bank[:2]), self.column.bank.eq(bank[2:]),
            self.column.column.eq(Mux(writing, pool.issue_column, read_column)),
        ]

    def _row_command(self, m: Module):
        rows, recency, channel, pool, refresh = self._rows, self._recency, self._channel, self._pool, self._refresh
        # Nothing follows an ACT in its second clock; the bus still holds its bank and row then.
        second = self._opening.any()
        acting_bank = Cat(self.row.group, self.row.bank)
        empty = ~self._requested.any() & self._staging.empty & ~self._intake.output.valid
        finished = Signal()
        m.d.comb += finished.eq(~self.run & empty)
        done = finished & ~self._open.any() & ~second & self._data.empty & self._returns.empty
        m.d.sync += self.stopped.eq(~self.run & (self.stopped | done))

        used_lately = Signal(BANKS)
        idle = Signal(BANKS)
        busy = self._requested | self._used | self._opening
        m.d.sync += [
            used_lately.eq(Mux(self._idle_tick, 0, used_lately) | busy),
            idle.eq(Mux(self._idle_tick, ~used_lately, idle) & ~busy),
        ]
        m.d.comb += [
            rows.active.eq(~self.stopped), rows.second.eq(second), rows.open.eq(self._open), rows.opening.eq(self._opening),
            rows.can_activate.eq(
                self._can_activate & Cat(channel.can_activate[b & 3] for b in range(BANKS)) & self._all_banks.soon.replicate(BANKS)),
            rows.bank_rests.eq(self._can_activate),
            rows.can_refresh.eq(
                self._can_refresh & Cat(channel.can_refresh[b & 3] for b in range(BANKS)) & self._all_banks.ready.replicate(BANKS)),
            rows.can_precharge.eq(self._can_precharge),
            rows.here.eq(self._here), rows.there.eq(self._there), rows.hits_here.eq(self._hits_here), rows.hits_there.eq(self._hits_there),
            rows.pressing.eq(self._pressing), rows.pressing_there.eq(self._pressing_there),
            rows.idle.eq(idle), rows.target.eq(refresh.target), rows.forced.eq(refresh.forced), rows.all.eq(refresh.all),
            rows.hold.eq(refresh.hold),
            rows.close_all.eq(finished | (refresh.hold & refresh.close.all())),
            rows.ready_all.eq(self._can_refresh.all() & self._all_banks.ready),
            recency.activate.eq(rows.activating), rows.activating_chosen.eq(recency.activate_chosen),
            recency.close.eq(rows.closing), rows.closing_chosen.eq(recency.close_chosen),
        ]

        activate = rows.activate
        act = activate.any()
        chosen = self._vector(m, "row_banks", Mux(rows.refresh, refresh.target, Mux(act, activate, rows.close)))
        bank = number_of(chosen)
        writing = self._direction.writing
        row = Signal(15)
        m.d.comb += [
            pool.activate.eq(activate),
            row.eq(Mux(writing ^ rows.ahead, pool.row, pick(activate, [queue.row for queue in self._queues]))),
        ]
        operation = Signal(RowOperation)
        with m.If(rows.refresh):
            m.d.comb += operation.eq(RowOperation.REFSB)
        with m.Elif(rows.refresh_all):
            m.d.comb += operation.eq(RowOperation.REFAB)
        with m.Elif(act):
            m.d.comb += operation.eq(RowOperation.ACT)
        with m.Elif(rows.precharge_all):
            m.d.comb += operation.eq(RowOperation.PREA)
        with m.Elif(rows.precharge):
            m.d.comb += operation.eq(RowOperation.PRE)
        m.d.sync += self.row.operation.eq(operation)
        with m.If(~second):
            m.d.sync += [self.row.group.eq(bank[:2]), self.row.bank.eq(bank[2:]), self.row.row.eq(row)]

        group = Signal(2)
        m.d.comb += [
            group.eq(Mux(second, self.row.group, bank[:2])), channel.row_group.eq(group),
            channel.activate.eq(second | rows.refresh), channel.refresh.eq(rows.refresh),
            self._all_banks.clocks.eq(self.timing.tRFC), self._all_banks.start.eq(rows.refresh_all),
            pool.opened.eq(second), pool.opened_bank.eq(acting_bank), pool.opened_row.eq(self.row.row), pool.close.eq(rows.close),
        ]
        for index, (queue, timers) in enumerate(zip(self._queues, self._banks, strict=True)):
            m.d.comb += [
                queue.activate.eq(activate[index]), queue.act_row.eq(row), queue.close.eq(rows.close[index]),
                timers.activate.eq(self._opening[index]), timers.precharge.eq(rows.close[index] & self._open[index]),
                timers.refresh.eq(rows.refresh & refresh.target[index]),
            ]

    def _turn(self, m: Module):
        direction, pool = self._direction, self._pool
        writing = direction.writing
        m.d.comb += [
            direction.read_to_write.eq(self.timing.read_to_write), direction.write_to_read.eq(self.timing.write_to_read_S),
            direction.column.eq(self._reads_now | self._writes_now), direction.hits.eq(self._hits_here),
            direction.opening.eq(self._opening & self._here),
            *(getattr(direction, f"left{index}").eq(Mux(writing, bank.write_left, bank.read_left))
              for index, bank in enumerate(self._banks)),
            direction.reads.eq(self._any_read), direction.writes.eq(~pool.empty), direction.enough_writes.eq(pool.half),
            direction.blocked.eq(self._blocked),
            direction.read_expired.eq(self._read_expired.any()), direction.write_expired.eq(pool.expired.any()),
        ]

    def _refreshes(self, m: Module):
        refresh, recency, rows = self._refresh, self._recency, self._rows
        m.d.comb += [
            refresh.active.eq(~self.stopped), refresh.all_banks.eq(self.refresh_all),
            *(getattr(refresh, name).eq(getattr(self.timing, name)) for name in ("tREFI", "tREFIsb", "tRFCsb")),
            refresh.requested.eq(self._requested), refresh.hit.eq(self._read_hits | self._write_hits),
            refresh.pressing.eq(~self._room), refresh.served.eq(recency.used),
            recency.idle.eq(refresh.idle), refresh.idle_chosen.eq(recency.idle_chosen),
            refresh.idle_since.eq(recency.idle_since),
            recency.busy.eq(refresh.busy), refresh.busy_chosen.eq(recency.busy_chosen),
            refresh.refreshed.eq(rows.refresh), refresh.all_refreshed.eq(rows.refresh_all), self.owed.eq(refresh.owed),
        ]

    def _data_path(self, m: Module):
        data, returns = self._data, self._returns
        m.d.comb += [
            *(mine.eq(given) for mine, given in zip(returns.masks, self.masks, strict=True)),
            self.write_data.eq(data.write_data), self.write_check.eq(data.write_check), self.write_mask.eq(data.write_mask),
            returns.read_data.eq(self.read_data), returns.read_check.eq(self.read_check), returns.read_valid.eq(self.read_valid),
            returns.data.eq(data.write_data), returns.check.eq(data.write_check), self.fetched.eq(returns.fetched),
        ]

    def _explain(self, m: Module):
        cause, direction, rows = self._cause, self._direction, self._rows
        writing = direction.writing
        m.d.comb += [
            cause.reads.eq(self._reads_now), cause.writes.eq(self._writes_now), cause.stopped.eq(self.stopped),
            cause.waits.eq(self._requested.any() | ~self._staging.empty | self._intake.output.valid),
            cause.requested.eq(self._requested), cause.target.eq(self._refresh.target),
            cause.refreshed.eq(Mux(rows.refresh_all, ~0, self._refresh.target & rows.refresh.replicate(BANKS))),
            cause.all_refresh.eq(self._refresh.hold | ~self._all_banks.soon),
            cause.rests.eq(self._can_activate), cause.open.eq(self._open),
            cause.ready_here.eq(self._hits_here & Mux(writing, self._bank_can_write, self._bank_can_read)),
            cause.legal_there.eq(self._hits_there & Mux(writing, self._legal_read, self._legal_write)),
            cause.writing.eq(writing), cause.can_precharge.eq(self._can_precharge),
            self.cause.eq(cause.cause),
        ]
