"""Walks the slots of a command: column tiles, rows, column beats."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import VectorCommand
from rtl.vector.slot import entries, log_bytes, slot_layout

__all__ = ["Walk"]


class Walk(wiring.Component):
    """Offers the slots of a command in their order, one a cycle, with the addresses of x (first tap), y and z.

    Addresses are kept modulo the size of L1: the front end has shown that each of them lies inside.

    Members
    -------
    start : one cycle; `command` is stable from then to the last slot
    parameters : how many beats of parameters have arrived, modulo twice the entries; a slot waits for its own
    slot : the slots
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "parameters": In(range(2 * entries(config))),
            "slot": Out(stream.Signature(slot_layout(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config, command, slot = self.config, self.command, self.slot.payload
        mode = command.mode
        lanes, columns = config.vector_lanes, config.pe_columns
        beats = columns // lanes

        active = Signal()
        ow, oh = Signal(16), Signal(16)  # rows that are left
        tile_left, left = Signal(16), Signal(16)  # columns that are left, from the tile's start and from this beat
        beat = Signal(range(beats))
        entry, tile_entry = Signal(range(2 * entries(config))), Signal(range(2 * entries(config)))

        last_beat, last_tile = Signal(), Signal()
        last_row = (ow == 1) & (oh == 1)
        m.d.comb += [
            last_beat.eq((beat == beats - 1) | (left <= lanes)),
            last_tile.eq(tile_left <= columns),
            self.slot.valid.eq(active & (~mode.params.any() | (entry != self.parameters))),
            slot.columns.eq(Mux(left > lanes, lanes, left)),
            slot.entry.eq(entry),
            slot.last_row.eq(last_row),
            slot.last.eq(last_beat & last_row & last_tile),
        ]
        step = self.slot.valid & self.slot.ready
        next_row = step & last_beat
        next_plane = next_row & (ow == 1)
        next_tile = next_plane & (oh == 1)

        with m.If(self.start):
            m.d.sync += [
                active.eq(1), ow.eq(command.ow), oh.eq(command.oh), tile_left.eq(command.n), left.eq(command.n), beat.eq(0),
                entry.eq(0), tile_entry.eq(0),
            ]
        with m.Elif(step):
            m.d.sync += [beat.eq(beat + 1), left.eq(left - lanes), entry.eq(entry + 1)]
            with m.If(next_row):
                m.d.sync += [beat.eq(0), left.eq(tile_left), entry.eq(tile_entry), ow.eq(ow - 1)]
            with m.If(next_plane):
                m.d.sync += [ow.eq(command.ow), oh.eq(oh - 1)]
            with m.If(next_tile):
                rest = tile_left - columns
                m.d.sync += [
                    oh.eq(command.oh), tile_left.eq(rest), left.eq(rest), active.eq(~last_tile),
                    tile_entry.eq(tile_entry + beats), entry.eq(tile_entry + beats),
                ]

        for name in "xyz":
            bits = config.l1_address_bits
            log = log_bytes(mode[f"{name}_format"])
            # Where the tile, its plane (oh), its row (ow) and the beat start. One adder moves the outermost that changes.
            tile, plane, row, here = (Signal(bits, name=f"{name}_{level}") for level in ("tile", "plane", "row", "beat"))
            origin, stride, moved = (Signal(bits, name=f"{name}_{part}") for part in ("origin", "stride", "moved"))
            with m.If(next_tile):
                m.d.comb += [origin.eq(tile), stride.eq(columns << log)]
            with m.Elif(next_plane):
                m.d.comb += [origin.eq(plane), stride.eq(command[f"{name}_oh"])]
            with m.Elif(next_row):
                m.d.comb += [origin.eq(row), stride.eq(command[f"{name}_ow"])]
            with m.Else():
                m.d.comb += [origin.eq(here), stride.eq(lanes << log)]
            m.d.comb += [moved.eq(origin + stride), slot[name].eq(here)]
            base = command[f"{name}_base"]
            with m.If(self.start):
                m.d.sync += [tile.eq(base), plane.eq(base), row.eq(base), here.eq(base)]
            with m.Elif(step):
                m.d.sync += here.eq(moved)
                for changes, level in ((next_row, row), (next_plane, plane), (next_tile, tile)):
                    with m.If(changes):
                        m.d.sync += level.eq(moved)
        return m
