"""The rules of a command that need no arithmetic: codes, sizes, alignment, all at once."""

from amaranth import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import RANK
from rtl.formats import Format
from rtl.isa import DataCommand, DataOp, Space, Status

__all__ = ["Rules", "container"]


def container(format: Value) -> Value:
    """log2 of the bytes that an element of a format takes; 3 for code 7, which is none."""
    code = Value.cast(format)
    one = (code == Format.INT8.value) | (code == Format.UINT8.value)
    two = (code == Format.FP16.value) | (code == Format.BF16.value)
    return Mux(code == 7, 3, Mux(one, 0, Mux(two, 1, 2)))


class Rules(wiring.Component):
    """Rules 2 to 4 of `docs/data_engine.md`, and rule 1. Combinational.

    Members
    -------
    command
    status
        OK, or UNDEFINED_OPCODE, UNSUPPORTED, SIZE, ALIGNMENT: the first rule that is broken.
    source_element, destination_element
        log2 of the bytes of an element.
    owned
        Bit k: a dimension moves coordinate k.
    """

    def __init__(self, cluster: bool):
        self._cluster = cluster
        super().__init__({
            "command": In(DataCommand), "status": Out(Status), "source_element": Out(2), "destination_element": Out(2), "owned": Out(RANK),
        })

    def elaborate(self, platform):
        m = Module()
        command, mode = self.command, self.command.mode
        slicing, filling = mode.op == DataOp.SLICE, mode.op == DataOp.FILL
        reads, gathers = ~filling, mode.gather

        def of(name: str) -> list[Value]:
            return [getattr(command, f"{name}{d}") for d in range(RANK)]

        def any_of(conditions) -> Value:
            return Cat(conditions).any()

        gaps = Cat(command.interior01, command.interior23, command.interior4)
        counts, phases = ([gaps.word_select(2 * d + which, 8) for d in range(RANK)] for which in (0, 1))
        #: Dimension 4 of a gather has no step, no offset and no gaps.
        plain = [1, 1, 1, 1, ~gathers]

        m.d.comb += [
            self.source_element.eq(Mux(mode.convert, container(mode.source_format), mode.element)),
            self.destination_element.eq(Mux(mode.convert, container(mode.destination_format), mode.element)),
            self.owned.eq(Cat(1, 1, 1, mode.share3 == 0, mode.share4 == 0)),
        ]

        spaces = [Value.cast(space) == 3 for space in (mode.source, mode.destination)] + [gathers & (Value.cast(mode.index) == 3)]
        if self._cluster:
            spaces += [
                mode.destination == Space.L1, reads & (mode.source == Space.L1), gathers & (mode.index == Space.L1),
            ]
        shares = (mode.share3 != 0) | (mode.share4 != 0)
        crooked_tile = (
            (command.dst_stride0 != 1 << self.destination_element) | (command.src_stride1 != 1 << self.source_element)
            | (slicing & (
                (command.step0 != 1) | (command.step1 != 1) | any_of((count != 0) & used for count, used in zip(counts, plain, strict=True))
            ))
        )
        unsupported = any_of([
            mode.reserved != 0, self.source_element == 3, self.destination_element == 3, *spaces,
            ~slicing & (gathers | shares), filling & (mode.convert | mode.tile), gathers & (mode.share4 != 0), mode.tile & crooked_tile,
        ])

        def fits(word: Value, bits: int) -> Value:
            """As a signed number of `bits` bits."""
            top = Value.cast(word)[bits - 1:]
            return top.all() | ~top.any()

        sizes = [(size == 0) | size[16:].any() for size in of("size")]
        for k, (offset, step, extent) in enumerate(zip(of("offset"), of("step"), of("extent"), strict=True)):
            large = extent[16:].any() if k < RANK - 1 else Mux(gathers, extent[31], extent[16:].any())
            sizes += [
                slicing & self.owned[k] & ((extent == 0) | large | (~fits(offset, 17) & plain[k])),
                slicing & plain[k] & (~fits(step, 16) | (phases[k] > counts[k])),
            ]

        def misaligned(word: Value, element: Value) -> Value:
            return (Value.cast(word)[:2] & Cat(element != 0, element[1])).any()

        crooked = [misaligned(word, self.destination_element) for word in (command.dst_base, *of("dst_stride"))]
        crooked.append(reads & misaligned(command.src_base, self.source_element))
        crooked += [
            reads & (~slicing | owned) & misaligned(stride, self.source_element)
            for stride, owned in zip(of("src_stride"), self.owned, strict=True)
        ]
        crooked.append(gathers & command.index_base[:2].any())

        with m.If(~(slicing | filling | (mode.op == DataOp.COPY))):
            m.d.comb += self.status.eq(Status.UNDEFINED_OPCODE)
        with m.Elif(unsupported):
            m.d.comb += self.status.eq(Status.UNSUPPORTED)
        with m.Elif(any_of(sizes)):
            m.d.comb += self.status.eq(Status.SIZE)
        with m.Elif(any_of(crooked)):
            m.d.comb += self.status.eq(Status.ALIGNMENT)
        return m
