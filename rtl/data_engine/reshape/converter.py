"""Converter: elements of one format to another, on the way, rounded once as `docs/numerics.md` says."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.common.convert import Narrow, Widen
from rtl.common.once import EmitOnce
from rtl.common.stream import StreamRegister
from rtl.data_engine.reshape.beat import beat
from rtl.data_engine.rules import container
from rtl.formats import Format

__all__ = ["Converter", "Cross", "conversion_beat"]


def conversion_beat(width: int) -> data.StructLayout:
    """Whole elements of `source`, and the format that they become."""
    return data.StructLayout({"beat": beat(width), "source": Format, "destination": Format})


def _integer(format: Value) -> Value:
    code = Value.cast(format)
    return (code == Format.INT8.value) | (code == Format.INT32.value) | (code == Format.UINT8.value)


class Cross(EmitOnce):
    """FP32 to INT32 (nearest even, saturating, NaN gives 0), INT32 to FP32, or nothing. Combinational.

    INT32 to FP32 is rounded to nearest even where FP32 is wanted. For narrower formats it is rounded to odd, so that the rounding to come
    is the only one that counts.

    Members
    -------
    value
    source, destination
        Formats of the element and of what it becomes.
    result
    """

    value: In(32)
    source: In(Format)
    destination: In(Format)
    result: Out(32)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()
        value, sign = self.value, self.value[31]

        # To an integer: the significand of 24 bits, whose unit weighs 2^7 in a number of exponent 157, moves right from there.
        exponent, fraction = value[23:31], value[:23]
        distance = Signal(6)
        m.d.comb += distance.eq(Mux(exponent < 157 - 34, 34, (157 - exponent)[:6]))
        moved = Signal(31 + 34)
        m.d.comb += moved.eq(Cat(Const(0, 34 + 7), fraction, exponent.any()) >> distance)
        magnitude = Signal(32)
        m.d.comb += magnitude.eq(moved[34:] + (moved[33] & (moved[:33].any() | moved[34])))
        whole = Signal(32)
        with m.If(exponent.all() & fraction.any()):
            m.d.comb += whole.eq(0)
        with m.Elif(exponent >= 158):
            m.d.comb += whole.eq(Mux(sign, 0x80000000, 0x7FFFFFFF))
        with m.Else():
            m.d.comb += whole.eq(Mux(sign, -magnitude, magnitude))

        # To FP32: the highest one of the magnitude goes to bit 31.
        absolute, normal = Signal(32), Signal(32)
        m.d.comb += absolute.eq(Mux(sign, -value, value))
        zeros = leading_zeros(m, absolute)
        m.d.comb += normal.eq((absolute << zeros)[:32])
        kept, lost = normal[8:31], normal[:8]
        odd = Cat(kept[0] | lost.any(), kept[1:])
        up = lost[7] & (lost[:7].any() | kept[0])
        real = Signal(32)
        exact = Cat(kept, (158 - zeros)[:8])
        m.d.comb += real.eq(Cat(Mux(self.destination == Format.FP32, (exact + up)[:31], Cat(odd, (158 - zeros)[:8])), sign))
        with m.If(absolute == 0):
            m.d.comb += real.eq(0)

        m.d.comb += self.result.eq(value)
        with m.If(_integer(self.source) & ~_integer(self.destination)):
            m.d.comb += self.result.eq(real)
        with m.Elif(~_integer(self.source) & _integer(self.destination)):
            m.d.comb += self.result.eq(whole)
        return m


class Converter(wiring.Component):
    """A quarter of a beat's bytes as elements a cycle, without gaps; latency 4 cycles.

    Members
    -------
    input : stream of :func:`conversion_beat`
        Formats may differ from beat to beat.
    output : stream
        The elements in order; a beat has up to a quarter of its bytes as elements.
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__({"input": In(stream.Signature(conversion_beat(width))), "output": Out(stream.Signature(beat(width)))})

    def elaborate(self, platform):
        m = Module()
        width, lanes = self._width, self._width // 4
        m.submodules.out = out = StreamRegister(beat(width))
        wiring.connect(m, out.output, wiring.flipped(self.output))
        advance = out.input.ready

        # The beat at hand moves down as its elements leave.
        word = Signal(8 * width)
        formats = Signal(data.StructLayout({"source": Format, "destination": Format}))
        left = Signal(range(width + 1))
        element = Signal(2)
        given = self.input.payload
        count = Signal(range(lanes + 1))
        m.d.comb += [
            count.eq(Mux(left > lanes, lanes, left)),
            self.input.ready.eq((left == 0) | (advance & (left <= lanes))),
        ]
        with m.If(advance):
            m.d.sync += [left.eq(left - count), word.eq(word >> Mux(element[0], 16 * lanes, 8 * lanes))]
        with m.If(self.input.ready):
            incoming = container(given.source)
            m.d.sync += [
                word.eq(given.beat.data), left.eq(Mux(self.input.valid, given.beat.count >> incoming[:2], 0)), element.eq(incoming),
                formats.source.eq(given.source), formats.destination.eq(given.destination),
            ]

        stage = data.StructLayout({
            "count": range(lanes + 1), "source": Format, "destination": Format, "values": data.ArrayLayout(32, lanes),
        })
        widened, crossed = Signal(stage), Signal(stage)
        elements = []
        for n in range(lanes):
            widen, cross, narrow = Widen(), Cross(), Narrow()
            m.submodules[f"widen{n}"], m.submodules[f"cross{n}"], m.submodules[f"narrow{n}"] = widen, cross, narrow
            code = Array([word[8 * n:8 * n + 8], word[16 * n:16 * n + 16], word[32 * n:32 * n + 32]])[element]
            m.d.comb += [
                widen.code.eq(code), widen.format.eq(formats.source),
                cross.value.eq(widened["values"][n]), cross.source.eq(widened.source), cross.destination.eq(widened.destination),
                narrow.value.eq(crossed["values"][n]), narrow.format.eq(crossed.destination),
            ]
            with m.If(advance):
                m.d.sync += [widened["values"][n].eq(widen.value), crossed["values"][n].eq(cross.result)]
            elements.append(narrow.code)
        with m.If(advance):
            m.d.sync += [
                widened.count.eq(count), widened.source.eq(formats.source), widened.destination.eq(formats.destination),
                crossed.count.eq(widened.count), crossed.source.eq(widened.source), crossed.destination.eq(widened.destination),
            ]
        result = container(crossed.destination)
        packed = Array([Cat(code[: 8 << size] for code in elements) for size in range(3)])[result[:2]]
        m.d.comb += [
            out.input.valid.eq(crossed.count != 0), out.input.payload.count.eq(crossed.count << result[:2]),
            out.input.payload.data.eq(packed),
        ]
        return m
