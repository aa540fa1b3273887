"""The part of a memory controller that steps with the memory clock: from atoms to DRAM commands."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS, AddressMap
from rtl.memory.arbiter import Arbiter
from rtl.memory.bank import BankTimers
from rtl.memory.channel import ChannelTimers
from rtl.memory.column import ColumnStage
from rtl.memory.dfi import ColumnCommand, ColumnOperation, RowCommand, RowOperation
from rtl.memory.opener import Opener
from rtl.memory.refresh import Refresh
from rtl.memory.requests import SLOT_BITS, read_request, write_request
from rtl.memory.timing import TimingSet

__all__ = ["MemoryCore"]


class MemoryCore(wiring.Component):
    """Sends at most one row and one column command a clock. It is used below an `EnableInserter` of `enable`.

    A row command leaves in this order: REFSB, ACT, PRE. Decision and command are one clock apart.

    Members
    -------
    enable
        Steps the banks' timers; the rest is stepped from outside.
    reads, writes
        Atoms to access. A write that has been taken is seen by every read taken later.
    freed
        Slots that the return buffer has given back so far, modulo 2 * READ_SLOTS.
    row, column
        Commands to the device.
    write_slot, write_slot_valid
        The slot whose bytes must be on the write data bus in the next clock.
    read_slot, read_taken
        The slot that the next atom from the device belongs to, and that it has come.
    ready
        The mode registers are set; no access is taken before.
    """

    def __init__(self, timing: TimingSet, address_map: AddressMap, id_bits: int):
        self.timing = timing
        self.map = address_map
        self.id_bits = id_bits
        super().__init__({
            "enable": In(1),
            "reads": In(stream.Signature(read_request(address_map.atom_bits))),
            "writes": In(stream.Signature(write_request(address_map.atom_bits, id_bits))),
            "freed": In(SLOT_BITS + 1),
            "row": Out(RowCommand), "column": Out(ColumnCommand),
            "write_slot": Out(SLOT_BITS), "write_slot_valid": Out(1),
            "read_slot": Out(SLOT_BITS), "read_taken": In(1),
            "ready": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = Arbiter(self.map, self.id_bits)
        m.submodules.opener = self._opener = opener = Opener((self.map.rows - 1).bit_length())
        m.submodules.columns = self._columns = columns = ColumnStage()
        m.submodules.refresh = self._refresh = Refresh(self.timing)
        m.submodules.channel = self._channel = ChannelTimers(self.timing)
        self._banks = [BankTimers(self.timing) for _ in range(BANKS)]
        for index, bank in enumerate(self._banks):
            m.submodules[f"bank{index}"] = bank
            m.d.comb += bank.enable.eq(self.enable)

        wiring.connect(m, wiring.flipped(self.reads), arbiter.reads)
        wiring.connect(m, wiring.flipped(self.writes), arbiter.writes)
        wiring.connect(m, arbiter.requests, opener.requests)
        wiring.connect(m, opener.columns, columns.requests)
        m.d.comb += arbiter.freed.eq(self.freed)
        self._row_commands(m)
        self._column_commands(m)
        self._write_data(m)
        self._read_slots(m)
        return m

    def _row_commands(self, m: Module):
        """Grants one row command a clock and writes it to the bus."""
        opener, refresh, channel = self._opener, self._refresh, self._channel
        row = self.row
        start = Signal(3)
        activated = Signal()
        bank, group = Signal(4), Signal(2)
        m.d.comb += [
            refresh.open.eq(opener.open), refresh.busy.eq(opener.busy),
            refresh.wanted.eq(opener.wanted), refresh.wanted_valid.eq(opener.wanted_valid),
            opener.hold.eq(refresh.hold | ~self.ready), opener.activated.eq(activated),
            opener.close_bank.eq(refresh.target),
        ]

        target_open = Array(opener.open)[refresh.target]
        can_refresh = Array(each.can_refresh for each in self._banks)[refresh.target]
        can_precharge = Cat(each.can_precharge for each in self._banks)
        wants_target = opener.wanted_valid & (opener.wanted == refresh.target) & ~refresh.hold
        target_free = refresh.target_valid & ~wants_target & ~Array(opener.busy)[refresh.target]
        target_rests = target_free & ~target_open & can_refresh
        refresh_now = target_rests & Array(channel.can_refresh)[refresh.target[:2]]
        activate_now = (
            opener.activate & Array(each.can_activate for each in self._banks)[opener.activate_bank]
            & Array(channel.can_activate)[opener.activate_bank[:2]]
            # An ACT counts a clock later than a REFSB and would always win the race for tRRD.
            & ~target_rests
        )
        close_now = target_free & target_open & Array(can_precharge)[refresh.target] & ~refresh.hold
        close_all = refresh.drained & opener.open.any() & can_precharge.all()
        precharge_now = opener.precharge & Array(can_precharge)[opener.precharge_bank]

        # Nothing follows an ACT in its second clock.
        m.d.sync += [row.operation.eq(RowOperation.NOP), activated.eq(0)]
        with m.If(~self.ready):
            m.d.sync += start.eq(start + 1)
            with m.Switch(start):
                with m.Case(1, 2):
                    m.d.sync += [
                        row.operation.eq(RowOperation.MRS), row.bank.eq(start - 1),
                        row.row.eq(Mux(start[0], self.timing.RL, self.timing.WL)),
                    ]
                with m.Case(7):
                    m.d.sync += self.ready.eq(1)
        with m.Elif(activated):
            pass
        with m.Elif(refresh_now):
            m.d.comb += [refresh.grant.eq(1), bank.eq(refresh.target)]
            m.d.sync += row.operation.eq(RowOperation.REFSB)
        with m.Elif(activate_now):
            m.d.comb += [opener.activate_grant.eq(1), bank.eq(opener.activate_bank)]
            m.d.sync += [row.operation.eq(RowOperation.ACT), row.row.eq(opener.activate_row), activated.eq(1)]
        with m.Elif(close_all):
            m.d.comb += opener.close_all.eq(1)
            m.d.sync += row.operation.eq(RowOperation.PREA)
        with m.Elif(close_now):
            m.d.comb += [opener.close.eq(1), bank.eq(refresh.target)]
            m.d.sync += row.operation.eq(RowOperation.PRE)
        with m.Elif(precharge_now):
            m.d.comb += [opener.precharge_grant.eq(1), bank.eq(opener.precharge_bank)]
            m.d.sync += row.operation.eq(RowOperation.PRE)
        with m.If(self.ready & ~activated):
            m.d.sync += [row.group.eq(bank[:2]), row.bank.eq(bank[2:])]

        # While `activated`, the bus still holds the ACT, and so its bank.
        acting = Cat(row.group, row.bank)
        m.d.comb += [
            group.eq(Mux(activated, row.group, bank[:2])), channel.row_group.eq(group),
            channel.activate.eq(activated | refresh.grant), channel.refresh.eq(refresh.grant),
            refresh.opened.eq(activated), refresh.opened_bank.eq(acting),
        ]
        for index, each in enumerate(self._banks):
            here = bank == index
            m.d.comb += [
                each.activate.eq(activated & (acting == index)), each.refresh.eq(refresh.grant & here),
                each.precharge.eq(((opener.precharge_grant | opener.close) & here) | opener.close_all),
            ]

    def _column_commands(self, m: Module):
        columns, channel, access = self._columns, self._channel, self._columns.access
        go = columns.read | columns.write
        m.d.comb += [
            channel.read.eq(columns.read), channel.write.eq(columns.write), channel.column_group.eq(access.bank[:2]),
            self._opener.column.eq(go), self._opener.column_bank.eq(access.bank),
            self._refresh.used.eq(go), self._refresh.used_bank.eq(access.bank),
        ]
        for index, each in enumerate(self._banks):
            here = access.bank == index
            m.d.comb += [
                columns.can_read[index].eq(each.can_read & channel.can_read[index & 3]),
                columns.can_write[index].eq(each.can_write & channel.can_write[index & 3]),
                each.read.eq(columns.read & here), each.write.eq(columns.write & here),
            ]
        operation = Mux(columns.read, ColumnOperation.RD, Mux(columns.write, ColumnOperation.WR, ColumnOperation.NOP))
        m.d.sync += [
            self.column.operation.eq(operation), self.column.group.eq(access.bank[:2]), self.column.bank.eq(access.bank[2:]),
            self.column.column.eq(access.column),
        ]

    def _write_data(self, m: Module):
        """The command is on the bus one clock after the decision, its bytes WL later; the buffer takes one clock to read."""
        valid, slot = self._columns.write, self._columns.access.slot
        for stage in range(self.timing.WL):
            valid_next, slot_next = Signal(name=f"write_valid{stage}"), Signal(SLOT_BITS, name=f"write_slot{stage}")
            m.d.sync += [valid_next.eq(valid), slot_next.eq(slot)]
            valid, slot = valid_next, slot_next
        m.d.comb += [self.write_slot_valid.eq(valid), self.write_slot.eq(slot)]

    def _read_slots(self, m: Module):
        """Atoms come back in the order of their commands: a ring of the slots of those under way."""
        # From decision to data RL + 3 clocks pass, with a read in every second of them.
        bits = ((self.timing.RL + 4) // 2).bit_length()
        slots = Array(Signal(SLOT_BITS, name=f"read_slot{k}") for k in range(1 << bits))
        head, tail = Signal(bits), Signal(bits)
        with m.If(self._columns.read):
            m.d.sync += [slots[tail].eq(self._columns.access.slot), tail.eq(tail + 1)]
        with m.If(self.read_taken):
            m.d.sync += head.eq(head + 1)
        m.d.comb += self.read_slot.eq(slots[head])
