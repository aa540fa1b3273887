"""The loaders: which beats of x, y and the parameters are read, and when."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import VectorCommand
from rtl.l1.port import L1Read
from rtl.vector.slot import POINTER_BITS, entries, log_bytes, slot_layout
from rtl.vector.strip import Strip, TapCounter

__all__ = ["XLoad", "XTag", "YLoad", "YTag"]


class XTag(data.Struct):
    operand: 1  #: of a tap after the first: it goes to the reduction, not to V0


class YTag(data.Struct):
    parameter: 1  #: a parameter, not y
    index: 2  #: which
    last: 1  #: the last one of its entry


def _request(port: L1Read, tag) -> stream.Signature:
    return stream.Signature(data.StructLayout({"address": port.address_bits, "size": port.width.bit_length(), "tag": tag}))


def _port(config: ChipConfig) -> L1Read:
    return L1Read(config.l1_address_bits, config.vector_bytes)


class XLoad(wiring.Component):
    """Requests x strip by strip, in each strip tap by tap, in each tap slot by slot. Idle if x comes from the tensor core.

    Members
    -------
    start, command : as in `Walk`
    walked, ended : as in `Strip`
    position : of the slot whose `slot` is shown in the same cycle
    request : for `Fetch`
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "walked": In(POINTER_BITS), "ended": In(1),
            "position": Out(POINTER_BITS - 1), "slot": In(slot_layout(config)),
            "request": Out(_request(_port(config), XTag)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.strip = strip = Strip()
        m.submodules.taps = taps = TapCounter()
        command = self.command
        bits = self.config.l1_address_bits
        row, offset = Signal(bits), Signal(bits)  # of this row of taps, and of this tap, from the first
        origin, moved = Signal(bits), Signal(bits)
        m.d.comb += [
            strip.start.eq(self.start), strip.walked.eq(self.walked), strip.ended.eq(self.ended),
            strip.take.eq(self.request.valid & self.request.ready), strip.last_pass.eq(taps.last),
            taps.kh.eq(command.kh), taps.kw.eq(command.kw), taps.start.eq(self.start), taps.step.eq(strip.turn),
            self.position.eq(strip.pointer),
            self.request.valid.eq(strip.present & ~command.mode.from_tensor & ~self.start),
            self.request.payload.address.eq(self.slot.x + offset),
            self.request.payload.size.eq(self.slot.columns << log_bytes(command.mode.x_format)),
            self.request.payload.tag.operand.eq(~taps.first),
            origin.eq(Mux(taps.end_of_row, row, offset)),
            moved.eq(origin + Mux(taps.end_of_row, command.x_kh, command.x_kw)),
        ]
        with m.If(self.start | (strip.turn & taps.last)):
            m.d.sync += [row.eq(0), offset.eq(0)]
        with m.Elif(strip.turn):
            m.d.sync += offset.eq(moved)
            with m.If(taps.end_of_row):
                m.d.sync += row.eq(moved)
        return m


class YLoad(wiring.Component):
    """Requests the parameters of each column beat as soon as there is room for them, and between them y, slot by slot.

    Parameters go first: their room is bounded, and the slots that wait for them are older than any y.

    Members
    -------
    start, command : as in `Walk`
    walked : pointer behind the last known slot
    freed : the parameters of one beat are no longer needed
    position : of the slot whose `slot` is shown in the same cycle
    request : for `Fetch`
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "walked": In(POINTER_BITS), "freed": In(1),
            "position": Out(POINTER_BITS - 1), "slot": In(slot_layout(config)),
            "request": Out(_request(_port(config), YTag)),
        })

    def elaborate(self, platform):
        m = Module()
        config, command, request = self.config, self.command, self.request
        mode, lanes = command.mode, config.vector_lanes
        take = request.valid & request.ready

        left = Signal(16)  # columns whose parameters are not yet asked for
        index = Signal(2)
        beat, address = Signal(config.l1_address_bits), Signal(config.l1_address_bits)
        room = Signal(range(entries(config) + 1))
        columns = Signal(range(lanes + 1))
        parameter, last = Signal(), Signal()
        m.d.comb += [
            columns.eq(Mux(left > lanes, lanes, left)),
            parameter.eq(left.any() & mode.params.any() & ~self.start),
            last.eq(index == mode.params - 1),
        ]
        begins = Signal()  # the entry is claimed with its first parameter
        m.d.comb += begins.eq(take & request.payload.tag.parameter & (index == 0))
        pointer = Signal(POINTER_BITS)
        offer, held = Signal(), Signal()
        m.d.comb += offer.eq(parameter & (room.any() | index.any()) & ~held)
        # A request for y that is offered stays, whatever room comes free.
        m.d.sync += held.eq(request.valid & ~request.ready & ~offer)

        m.d.comb += [
            self.position.eq(pointer),
            request.payload.tag.parameter.eq(offer), request.payload.tag.index.eq(index), request.payload.tag.last.eq(last),
        ]
        with m.If(offer):
            m.d.comb += [request.valid.eq(1), request.payload.address.eq(address), request.payload.size.eq(columns << 2)]
        with m.Else():
            m.d.comb += [
                request.valid.eq(mode.y_enable & (pointer != self.walked) & ~self.start),
                request.payload.address.eq(self.slot.y),
                request.payload.size.eq(self.slot.columns << log_bytes(mode.y_format)),
            ]

        with m.If(self.start):
            m.d.sync += [
                left.eq(command.n), index.eq(0), beat.eq(command.p_base), address.eq(command.p_base),
                room.eq(entries(config)), pointer.eq(0),
            ]
        with m.Else():
            m.d.sync += room.eq(room - begins + self.freed)
            with m.If(take & ~offer):
                m.d.sync += pointer.eq(pointer + 1)
            with m.If(take & offer):
                m.d.sync += [index.eq(index + 1), address.eq(address + command.p_stride)]
                with m.If(last):
                    m.d.sync += [
                        index.eq(0), left.eq(left - columns), beat.eq(beat + 4 * lanes), address.eq(beat + 4 * lanes),
                    ]
        return m
