"""The array: rows of PEs chained along K, columns along N."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.tensor.formats import group_bytes, operand_bits, operands
from rtl.tensor.loader import WeightBus
from rtl.tensor.pe import PE_STAGES, ProcessingElement

__all__ = ["ARRAY_FLAGS", "Array", "EnterLayout"]

#: What travels with a row for the writer of the accumulators.
ARRAY_FLAGS = data.StructLayout({"valid": 1, "last_row": 1, "last_pass": 1})


class EnterLayout(data.StructLayout):
    """A row of A on its way into the array."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "flags": ARRAY_FLAGS,
            "swap": 1,  # the shadow weights become active for this row and those after it
            "a_format": Format,
            "elements": range(8 * config.pe_rows + 1),  # elements of K that take part
            "a": 8 * config.a_bytes,
        })


class Array(wiring.Component):
    """`result` = `c` + products of a row of A with the active weights. The accumulator enters at the first PE row and leaves after the
    last, so the order of the additions does not depend on the number of rows.

    A PE row without a valid lane passes the accumulator unchanged. PE row r works r * PE_STAGES cycles after the first; rows of A and swaps
    are delayed alike. One row a cycle; it never stalls.

    Members
    -------
    enter
        Row of A; `swap` without `valid` does not occur.
    c
        Accumulators of the row, in the same cycle as `enter`.
    leave, result
        Flags and accumulators of the row, 1 + pe_rows * PE_STAGES cycles later, from registers.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        row = data.ArrayLayout(32, config.pe_columns)
        super().__init__({
            "enter": In(EnterLayout(config)), "c": In(row), "weights": In(WeightBus(config)),
            "leave": Out(ARRAY_FLAGS), "result": Out(row),
        })

    @property
    def latency(self) -> int:
        """Cycles from `enter` to `leave`."""
        return 1 + self.config.pe_rows * PE_STAGES

    def elaborate(self, platform):
        m = Module()
        columns = self.config.pe_columns
        line = data.StructLayout({"a": operand_bits(self.config), "a_unsigned": 1, "float": 1, "integer": 1})

        c = Signal(data.ArrayLayout(32, columns), reset_less=True)
        with m.If(self.enter.flags.valid):
            m.d.sync += c.eq(self.c)
        accumulators = [c[column] for column in range(columns)]

        swap = self.enter.swap
        for row in range(self.config.pe_rows):
            # The operand of this PE row, and the time until its accumulators arrive.
            operand = Signal(line, name=f"operand{row}")
            m.d.sync += [operand.float.eq(0), operand.integer.eq(0)]
            with m.If(self.enter.flags.valid):
                m.d.sync += self._select(row, operand)
            for stage in range(row * PE_STAGES):
                delayed = Signal(line, name=f"operand{row}_{stage}")
                m.d.sync += [delayed.float.eq(operand.float), delayed.integer.eq(operand.integer)]
                with m.If(operand.float | operand.integer):
                    m.d.sync += [delayed.a.eq(operand.a), delayed.a_unsigned.eq(operand.a_unsigned)]
                operand = delayed
            if row:
                for stage in range(PE_STAGES):
                    delayed = Signal(name=f"swap{row}_{stage}")
                    m.d.sync += delayed.eq(swap)
                    swap = delayed

            floats, integers = Signal(PE_STAGES - 1, name=f"floats{row}"), Signal(PE_STAGES - 1, name=f"integers{row}")
            m.d.sync += [floats.eq(Cat(operand.float, floats)), integers.eq(Cat(operand.integer, integers))]
            for column in range(columns):
                pe = ProcessingElement(self.config)
                m.submodules[f"pe_{row}_{column}"] = pe
                # The operand fans out to a whole row of PEs: a register drives it, and a layout puts buffers there.
                m.d.comb += [
                    pe.a.eq(operand.a), pe.a_unsigned.eq(operand.a_unsigned), pe.c.eq(accumulators[column]),
                    pe.float_stage.eq(Cat(operand.float, floats)), pe.integer_stage.eq(Cat(operand.integer, integers)),
                    pe.weight.eq(self.weights.words[column]),
                    pe.strobe.eq(self.weights.strobes[row][int(column >= columns // 2)]),
                    pe.swap.eq(swap),
                ]  # fmt: skip
                accumulators[column] = pe.result
        m.d.comb += [self.result[column].eq(value) for column, value in enumerate(accumulators)]

        flags = self.enter.flags
        for stage in range(self.latency):
            delayed = Signal(ARRAY_FLAGS, name=f"flags{stage}")
            m.d.sync += delayed.eq(flags)
            flags = delayed
        m.d.comb += self.leave.eq(flags)
        return m

    def _select(self, row: int, operand) -> list:
        """The group of PE row `row`, lanes that take no part cleared, and whether any lane takes part."""
        enter = self.enter
        value, active, floating = 0, 0, 0
        for format in operands(self.config):
            chosen = enter.a_format == format
            lanes, bits = self.config.lanes(format), 8 * group_bytes(self.config, format)
            valid = [enter.elements > row * lanes + lane for lane in range(lanes)]
            group = enter.a.word_select(row, bits) & Cat(bit.replicate(bits // lanes) for bit in valid)
            if format is Format.FP32:
                floating = chosen
            value = Mux(chosen, group, value)
            active = Mux(chosen, enter.elements > row * lanes, active)
        takes_part = floating & active
        return [
            operand.a.eq(value), operand.a_unsigned.eq(enter.a_format == Format.UINT8), operand.float.eq(takes_part),
            operand.integer.eq(~takes_part),
        ]  # fmt: skip
