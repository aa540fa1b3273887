"""The array: rows of PEs chained along K, columns along N."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import AlignMode
from rtl.tensor.accumulator import ring_rows
from rtl.tensor.control import ACCUMULATOR_STAGE, PE_STAGES, RowControl
from rtl.tensor.formats import group_bytes, operand_bits, operands
from rtl.tensor.loader import WeightBus
from rtl.tensor.pe import ProcessingElement

__all__ = ["Array", "EnterLayout", "RowFlags"]

#: Cycles from one row of PEs to the next.
_STEP = PE_STAGES - ACCUMULATOR_STAGE


class RowFlags(data.StructLayout):
    """What travels with a row for the writer of the accumulators."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "valid": 1,
            "skipped": 1,  # it doesn't enter the PEs; its accumulators stay as they are
            "last_pass": 1,
            "row": range(ring_rows(config)),  # of the accumulators
            "columns": range(config.pe_columns + 1),  # that the tile has
        })


class EnterLayout(data.StructLayout):
    """A row of A on its way into the array."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "flags": RowFlags(config),
            "swap": 1,  # the shadow weights become active for this row and those after it
            "format": Format,
            "align": AlignMode,
            "elements": range(8 * config.pe_rows + 1),  # elements of K that take part
            "a": 8 * config.a_bytes,
        })


class Array(wiring.Component):
    """`result` = `c` + products of a row of A with the active weights. The accumulator enters at the first PE row and leaves after the
    last, so the order of the additions does not depend on the number of rows.

    A PE row without a valid lane passes the accumulator unchanged. PE row r works r * (PE_STAGES - ACCUMULATOR_STAGE) cycles after the
    first; rows of A and swaps are delayed alike. One row a cycle; it never stalls.

    Members
    -------
    enter
        Row of A; `swap` without `valid` does not occur.
    c
        Accumulators of the row, two cycles after `enter`.
    flags
        Flags of the rows under way, the youngest first: element s was `enter.flags` s cycles ago. The last one leaves.
    result
        Accumulators of the row that leaves, from registers.
    overflow
        The row that left in the cycle before has a sum of INT8 products that left int32.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        row = data.ArrayLayout(32, config.pe_columns)
        super().__init__({
            "enter": In(EnterLayout(config)), "c": In(row), "weights": In(WeightBus(config)),
            "flags": Out(data.ArrayLayout(RowFlags(config), 1 + self.latency)), "result": Out(row), "overflow": Out(1),
        })

    @property
    def latency(self) -> int:
        """Cycles from `enter` to `result`."""
        return 1 + (self.config.pe_rows - 1) * _STEP + PE_STAGES

    def elaborate(self, platform):
        m = Module()
        columns = self.config.pe_columns
        enter = self.enter

        accumulators = [self.c[column] for column in range(columns)]
        overflows = [0] * columns
        for row in range(self.config.pe_rows):
            # The operand of this PE row, and the time until its accumulators arrive.
            a, control = Signal(operand_bits(self.config), name=f"a{row}"), Signal(RowControl, name=f"control{row}")
            m.d.sync += control.enable.eq(enter.flags.valid & ~enter.flags.skipped)
            with m.If(enter.flags.valid & ~enter.flags.skipped):
                m.d.sync += self._select(row, a, control)
            swap = enter.swap
            for stage in range(row * _STEP):
                later_a, later_control = Signal.like(a, name=f"a{row}_{stage}"), Signal(RowControl, name=f"wait{row}_{stage}")
                later_swap = Signal(name=f"swap{row}_{stage}")
                m.d.sync += [later_control.eq(control), later_swap.eq(swap)]
                with m.If(control.enable):
                    m.d.sync += later_a.eq(a)
                a, control, swap = later_a, later_control, later_swap
            stages = [control]
            for stage in range(1, PE_STAGES):
                stages.append(Signal(RowControl, name=f"control{row}_{stage}"))
                m.d.sync += stages[-1].eq(stages[-2])

            for column in range(columns):
                pe = ProcessingElement(self.config)
                m.submodules[f"pe_{row}_{column}"] = pe
                # The operand fans out to a whole row of PEs: a register drives it, and a layout puts buffers there.
                m.d.comb += [
                    pe.a.eq(a), pe.c.eq(accumulators[column]), *(pe.control[stage].eq(value) for stage, value in enumerate(stages)),
                    pe.weight.eq(self.weights.words[column]),
                    pe.strobe.eq(self.weights.strobes[row][int(column >= columns // 2)]),
                    pe.line.eq(self.weights.lines[row]), pe.take_line.eq(self.weights.take_line[column]),
                    pe.swap.eq(swap),
                ]  # fmt: skip
                accumulators[column] = pe.result
                # A flag waits for the rows of PEs below, so that all of a row of A come together.
                flag = overflows[column]
                for stage in range(_STEP if row else 0):
                    later = Signal(name=f"overflow{row}_{column}_{stage}")
                    m.d.sync += later.eq(flag)
                    flag = later
                overflows[column] = flag | pe.overflow
        m.d.comb += [self.result[column].eq(value) for column, value in enumerate(accumulators)]

        m.d.comb += self.flags[0].eq(enter.flags)
        for stage in range(self.latency):
            m.d.sync += self.flags[stage + 1].eq(self.flags[stage])
        leave = self.flags[self.latency]
        some = Cat(flag & (leave.columns > column) for column, flag in enumerate(overflows)).any()
        m.d.sync += self.overflow.eq(leave.valid & ~leave.skipped & some)
        return m

    def _select(self, row: int, a, control) -> list:
        """The group of PE row `row`, and its lanes that take part."""
        enter = self.enter
        value, lanes = 0, 0
        for format in operands(self.config):
            chosen = enter.format == format
            count, bits = self.config.lanes(format), 8 * group_bytes(self.config, format)
            value = Mux(chosen, enter.a.word_select(row, bits), value)
            lanes = Mux(chosen, Cat(enter.elements > row * count + lane for lane in range(count)), lanes)
        return [a.eq(value), control.a_format.eq(enter.format), control.align.eq(enter.align), control.lanes.eq(lanes)]
