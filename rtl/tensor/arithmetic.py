"""Arithmetic of a PE: `result` = c + sum of a * b, in every operand format, on one set of multipliers and one adder."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import AlignMode
from rtl.tensor.align import FINE, Coarse, Distances, Fine
from rtl.tensor.classes import Classes
from rtl.tensor.control import PE_STAGES, RowControl
from rtl.tensor.formats import operand_bits
from rtl.tensor.frame import EXPONENT_OFFSET, LANES, Frame
from rtl.tensor.multiplier import Multiplier
from rtl.tensor.normalise import Normalise
from rtl.tensor.total import Total
from rtl.tensor.unpack import Unpack

__all__ = ["Arithmetic"]

#: FP32 splits its significands in halves: the products of lanes 0 to 3 are high * high, low * high, high * low, low * low.
_A_HALVES = (True, False, True, False)
_B_HALVES = (True, True, False, False)


class Arithmetic(wiring.Component):
    """One operation a cycle: fusedMultiplyAdd of FP32, four products of TF32, FP16 or BF16 onto FP32, or INT8 products onto INT32.

    Parameters
    ----------
    config
    pipelined
        With False every register inside is a wire: then all of `control` carries the same row, and what remains is one combinational
        circuit, to measure.

    Members
    -------
    a, b : `operand_bits`
        Groups of K, sampled with control[0]. `b` of UINT8 is INT8.
    c : 32
        FP32 or INT32, sampled with control[1].
    control
        control[s] is the row at stage s.
    result : 32
        PE_STAGES cycles after `a`, registered; it keeps still while control[3] isn't enabled.
    overflow
        With `result`: the exact sum of an INT8 or UINT8 row left int32. Zero after a cycle in which no row ended.
    """

    def __init__(self, config: ChipConfig, pipelined: bool = True):
        self._frame, self._pipelined = Frame(config), pipelined
        super().__init__({
            "a": In(operand_bits(config)), "b": In(operand_bits(config)), "c": In(32),
            "control": In(data.ArrayLayout(RowControl, PE_STAGES)), "result": Out(32), "overflow": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        frame = self._frame

        def register(stage, name, value):
            """`value` one stage later."""
            held = Signal.like(value, name=name, reset_less=True)
            if not self._pipelined:
                m.d.comb += held.eq(value)
            else:
                with m.If(self.control[stage].enable):
                    m.d.sync += held.eq(value)
            return held

        def integer(stage):
            if not (frame.int8 and frame.floating):
                return C(bool(frame.int8), 1)  # all rows or none
            format = self.control[stage].a_format
            return (format == Format.INT8) | (format == Format.UINT8)

        def single(stage):
            return self.control[stage].a_format == Format.FP32 if frame.fp32 else C(0, 1)

        # Stage 0: products and their exponents.
        m.submodules.unpack_a = a = Unpack(frame, _A_HALVES, high=0b001)
        m.submodules.unpack_b = b = Unpack(frame, _B_HALVES, high=0b110)
        m.submodules.classes = classes = Classes(frame)
        row = self.control[0]
        m.d.comb += [
            a.operand.eq(self.a), a.format.eq(row.a_format), a.mask.eq(row.lanes),
            b.operand.eq(self.b), b.format.eq(row.a_format), b.mask.eq(~0),
            classes.a.eq(a.lanes), classes.a_exponent.eq(a.exponent), classes.b.eq(b.lanes), classes.b_exponent.eq(b.exponent),
            classes.format.eq(row.a_format), classes.mask.eq(row.lanes),
        ]  # fmt: skip
        products = []
        for index in range(LANES):
            m.submodules[f"multiplier{index}"] = multiplier = Multiplier(frame)
            m.d.comb += [
                multiplier.a.eq(a.significand[index]), multiplier.b.eq(b.significand[index]),
                multiplier.a_bytes.eq(Cat(a.low[index], a.high[index])),
                multiplier.b_bytes.eq(Cat(b.low[index], b.high[index])),
                multiplier.a_signed.eq(row.a_format != Format.UINT8),
            ]  # fmt: skip
            products.append(register(0, f"product{index}", multiplier.product))
        exponents = register(0, "exponents", classes.exponent)
        signs = register(0, "signs", classes.sign)
        special = register(0, "special", classes.special)

        # Stage 1: the accumulator enters. Distances, the first part of the movement.
        row = self.control[1]
        c_sign, c_exponent = self.c[31], self.c[23:31]
        c_some, c_rest, c_ones = c_exponent.any(), self.c[:23].any(), c_exponent.all()
        m.submodules.distances = distances = Distances(frame)
        # In FP32 a zero counts with the smallest exponent, which keeps results from being smaller than the frame reaches.
        with m.If(single(1) | c_some | c_rest):
            m.d.comb += distances.c.eq(Cat(c_exponent[0] | ~c_some, c_exponent[1:]) + EXPONENT_OFFSET)
        m.d.comb += [distances.format.eq(row.a_format), distances.products.eq(exponents)]

        terms = list(products)
        extend = [C(0, 1)] * LANES
        if frame.int8:
            sign = frame.factor + 7
            for index, product in enumerate(products):
                extend[index] = product[sign] & integer(1)
                terms[index] = Cat(product[:sign], product[sign:] & ~integer(1).replicate(len(product) - sign))
        if frame.fp32:
            whole = Signal(48)
            m.d.comb += whole.eq(Cat(products[3], products[0]) + ((products[1] + products[2]) << 12))
            terms[0], terms[1] = Mux(single(1), whole[24:], terms[0]), Mux(single(1), whole[:24], terms[1])
        fine = []
        for index in range(frame.terms):
            m.submodules[f"fine{index}"] = mover = Fine(frame.product)
            m.d.comb += [mover.term.eq(terms[index]), mover.places.eq(distances.distance[index].places)]
            fine.append(register(1, f"fine{index}", mover.moved))
        addend = Cat(C(0, 4), self.c[:23], c_some, C(0, 4))
        if frame.int8:
            addend = Mux(integer(1), self.c, addend)
        m.submodules.fine_c = mover = Fine(32)
        m.d.comb += [mover.term.eq(addend), mover.places.eq(distances.c_distance.places)]
        fine_c = register(1, "fine_c", mover.moved)
        distance = register(1, "distance", distances.distance)
        c_distance = register(1, "c_distance", distances.c_distance)
        largest = register(1, "largest", distances.largest)
        sign = register(1, "sign", c_sign)
        differs = Mux(integer(1), 0, signs ^ c_sign.replicate(LANES))[: frame.terms]
        if frame.fp32:
            differs = Cat(differs[0], Mux(single(1), differs[0], differs[1]), differs[2:])
        negate = register(1, "negate", differs)
        extends = register(1, "extend", Cat(extend)[: frame.terms])
        merged = Signal.like(special)
        m.d.comb += [
            merged.nan.eq(special.nan | c_ones & c_rest),
            merged.plus.eq(special.plus | c_ones & ~c_rest & ~c_sign), merged.minus.eq(special.minus | c_ones & ~c_rest & c_sign),
            merged.negative.eq(special.negative & c_sign),
        ]  # fmt: skip
        special = register(1, "special_c", merged)

        # Stage 2: the rest of the movement, the sum.
        row = self.control[2]
        m.submodules.total = total = Total(frame)
        for index in range(frame.terms):
            m.submodules[f"coarse{index}"] = coarse = Coarse(frame, len(fine[index]), frame.unit + 1, sticky=index < 2)
            m.d.comb += [
                coarse.term.eq(fine[index]), coarse.places.eq(distance[index].places[FINE:]), coarse.far.eq(distance[index].far),
                coarse.format.eq(row.a_format), coarse.align.eq(row.align), total.terms[index].eq(coarse.placed),
            ]  # fmt: skip
        m.submodules.coarse_c = coarse = Coarse(frame, len(fine_c), frame.unit + 4, sticky=True)
        m.d.comb += [
            coarse.term.eq(fine_c), coarse.places.eq(c_distance.places[FINE:]), coarse.far.eq(c_distance.far),
            coarse.format.eq(row.a_format), coarse.align.eq(row.align),
            total.c.eq(Cat(coarse.placed, sign & integer(2))), total.negate.eq(negate), total.extend.eq(extends),
        ]  # fmt: skip
        magnitude = register(2, "magnitude", total.magnitude)
        integer_sum = register(2, "integer_sum", total.integer)
        sign = register(2, "sign_sum", sign ^ total.opposite)
        largest = register(2, "largest_sum", largest)
        special = register(2, "special_sum", special)

        # Stage 3: one rounding.
        row = self.control[3]
        result = integer_sum[:32]
        if frame.floating:
            m.submodules.normalise = normalise = Normalise(frame)
            m.d.comb += [
                normalise.magnitude.eq(magnitude), normalise.sign.eq(sign), normalise.exponent.eq(largest), normalise.special.eq(special),
                normalise.toward_zero.eq((row.align != AlignMode.OWN) & ~single(3)),
            ]  # fmt: skip
            result = Mux(integer(3), result, normalise.result)
        m.d.comb += self.result.eq(register(3, "result_register", result))
        left = integer(3) & (integer_sum[32] ^ integer_sum[31])
        if self._pipelined:
            overflow = Signal()
            m.d.sync += overflow.eq(left & row.enable)
            m.d.comb += self.overflow.eq(overflow)
        else:
            m.d.comb += self.overflow.eq(left & row.enable)
        return m
