"""The vector engine's front end: judges a command whole, while the one before may still run."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bounds import Bounds
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Completion, MicroOp, Status, VectorCommand, VectorOp, VectorSource
from rtl.vector.slot import log_bytes

__all__ = ["CheckedCommand", "VectorCheck", "micro_ops"]

_REDUCTIONS = ("FADD", "FMAX", "FMIN", "IADD", "IMAX", "IMIN")
#: Cycles from the last term at the unit's input to its verdict in the completion.
_BOUNDS_LATENCY = 4


class CheckedCommand(data.Struct):
    """A command and, before it starts, what it will end with: OK, or why it can't start."""

    command: VectorCommand
    completion: Completion


def micro_ops(command) -> data.View:
    """The micro-program of a command, eight steps."""
    words = Cat(command.ops01, command.ops23, command.ops45, command.ops67)
    return data.View(data.ArrayLayout(MicroOp, 8), words)


class VectorCheck(wiring.Component):
    """Takes a command, finds the first rule that it breaks, and offers it with the verdict.

    The rules in their order: micro-operations and reduction, their sources, formats and modes, sizes, alignment; then the bounds of x,
    y, the parameters and z. All but the bounds take one cycle; the bounds take one for each dimension.

    Members
    -------
    command : one command is held at a time
    checked : 3 cycles after its `command` where a rule is broken, 20 where the bounds decide
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({"command": In(stream.Signature(VectorCommand)), "checked": Out(stream.Signature(CheckedCommand))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = Bounds()
        command = self.checked.payload.command
        completion = self.checked.payload.completion

        terms = self._terms(command)
        index = Signal(range(len(terms)))
        wait = Signal(range(_BOUNDS_LATENCY))
        m.d.sync += bounds.valid.eq(0)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [index.eq(0), wait.eq(0)]
                with m.If(self.command.valid):
                    m.d.sync += [command.eq(self.command.payload), completion.eq(0)]
                    m.next = "Rules"
            with m.State("Rules"):
                m.d.sync += completion.status.eq(self._verdict(m, command))
                m.next = "Verdict"
            with m.State("Verdict"):
                with m.If(completion.status == Status.OK):
                    m.next = "Bounds"
                with m.Else():
                    m.next = "Offer"
            with m.State("Bounds"):
                m.d.sync += [
                    bounds.valid.eq(Array(used for used, _ in terms)[index]),
                    *(bounds.term[name].eq(Array(term[name] for _, term in terms)[index]) for name in terms[0][1]),
                    bounds.term.low.eq(0), bounds.term.limit.eq(self.config.l1_bytes),
                    index.eq(index + 1),
                ]
                with m.If(index == len(terms) - 1):
                    m.next = "Results"
            with m.State("Results"):
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == _BOUNDS_LATENCY - 1):
                    m.next = "Offer"
            with m.State("Offer"):
                m.d.comb += self.checked.valid.eq(1)
                with m.If(self.checked.ready):
                    m.next = "Idle"
        with m.If(bounds.result.valid & bounds.result.fault & (completion.status == Status.OK)):
            m.d.sync += [completion.status.eq(Status.ADDRESS), completion.address.eq(bounds.result.address)]
        return m

    @staticmethod
    def _terms(command) -> list[tuple]:
        """(used, term) of every dimension, in the order of the verdicts."""
        mode = command.mode
        found = []

        def operand(used, base, element, *dimensions):
            sizes = [*dimensions, (command.n, element)]
            for i, (size, stride) in enumerate(sizes):
                found.append((used, {
                    "size": size[:16], "stride": stride, "first": Const(i == 0, 1), "last": Const(i == len(sizes) - 1, 1),
                    "base": base, "tail": element - 1,
                }))

        def element(format):
            return (1 << log_bytes(format))[:3]

        operand(
            ~mode.from_tensor, command.x_base, element(mode.x_format),
            (command.kw, command.x_kw), (command.kh, command.x_kh), (command.ow, command.x_ow), (command.oh, command.x_oh),
        )
        operand(mode.y_enable, command.y_base, element(mode.y_format), (command.ow, command.y_ow), (command.oh, command.y_oh))
        operand(mode.params.any(), command.p_base, Const(4, 3), (mode.params, command.p_stride))
        operand(Const(1, 1), command.z_base, element(mode.z_format), (command.ow, command.z_ow), (command.oh, command.z_oh))
        return found

    @staticmethod
    def _verdict(m: Module, command) -> Signal:
        """Status of the first rule that is broken, bounds aside."""
        mode = command.mode
        taps = command.kh.any() & command.kw.any() & ~((command.kh == 1) & (command.kw == 1))  # kh * kw > 1

        steps = micro_ops(command)
        undefined_op, undefined_source = Signal(8), Signal(8)
        for i in range(8):
            used = mode.ops > i
            last = VectorSource.ZERO.value
            m.d.comb += [
                undefined_op[i].eq(used & (steps[i].op.as_value() > VectorOp.REQS.value)),
                undefined_source[i].eq(used & ((steps[i].a.as_value() > last) | (steps[i].b.as_value() > last))),
            ]
        no_reduction = ~mode.reduce.as_value().matches(*(VectorOp[name].value for name in _REDUCTIONS))

        formats = (mode.x_format, mode.y_format, mode.z_format)
        unsupported = Cat(*(format.as_value() > Format.UINT8.value for format in formats)).any() | mode.from_tensor & (
            (command.kh != 1) | (command.kw != 1)
            # The tensor core's results are FP32 or INT32.
            | ~mode.x_format.as_value().matches(Format.FP32.value, Format.INT32.value)
        )

        sizes = (command.kh, command.kw, command.ow, command.oh, command.n)
        size = Cat(*((value == 0) | value[16:].any() for value in sizes)).any() | (mode.params > 4) | (mode.ops > 8)

        def misaligned(used, format, *values):
            low = values[0][:2]
            for value in values[1:]:
                low = low | value[:2]
            size = log_bytes(format)
            return used & (low & Cat(size != 0, size == 2)).any()

        alignment = (
            misaligned(~mode.from_tensor, mode.x_format, command.x_base, command.x_kw, command.x_kh, command.x_ow, command.x_oh)
            | misaligned(mode.y_enable, mode.y_format, command.y_base, command.y_ow, command.y_oh)
            | misaligned(mode.params.any(), Const(Format.FP32.value, Format), command.p_base, command.p_stride)
            | misaligned(Const(1, 1), mode.z_format, command.z_base, command.z_ow, command.z_oh)
        )

        status = Signal(Status)
        m.d.comb += status.eq(
            Mux(undefined_op.any() | (taps & no_reduction), Status.UNDEFINED_OPCODE,
            Mux(undefined_source.any(), Status.UNDEFINED_FIELD,
            Mux(unsupported, Status.UNSUPPORTED,
            Mux(size, Status.SIZE,
            Mux(alignment, Status.ALIGNMENT, Status.OK))))))
        return status
