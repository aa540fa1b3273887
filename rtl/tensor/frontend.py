"""Front end of the tensor core: checks a command whole and turns it into a job, while the jobs before still run."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bounds import Bounds
from rtl.config import ChipConfig
from rtl.formats import FLOATS, Format
from rtl.isa import Completion, Status, TensorCommand
from rtl.tensor.formats import element_log2, group_bytes, operands
from rtl.tensor.job import JobLayout

__all__ = ["BoxLayout", "Frontend", "Verdict"]

_SIZES = ("kh", "kw", "channels", "ow", "oh", "n", "batch")
#: Base and strides of each operand.
_WORDS = {
    "a": ("a_base", "a_kw", "a_kh", "a_ow", "a_oh", "a_batch", "a_c"),
    "b": ("b_base", "b_k", "b_batch"),
    "c": ("c_base", "c_ow", "c_oh", "c_batch"),
    "d": ("d_base", "d_ow", "d_oh", "d_batch"),
}
#: D formats by the kind of the operands: integer or floating point.
_RESULTS = {False: (Format.INT32,), True: (Format.FP32, Format.FP16, Format.BF16)}


class BoxLayout(data.StructLayout):
    """Lowest and highest byte of an operand in L1."""

    def __init__(self, config: ChipConfig):
        super().__init__({"low": config.l1_address_bits, "high": config.l1_address_bits})


class Verdict(data.StructLayout):
    """A checked command: the job, the boxes of its operands, and how it fails if `completion.status` isn't OK."""

    def __init__(self, config: ChipConfig):
        boxes = data.StructLayout(dict.fromkeys(_WORDS, BoxLayout(config)))
        super().__init__({"job": JobLayout(config), "boxes": boxes, "completion": Completion})


class Frontend(wiring.Component):
    """Takes a command and 10 cycles later (12 with a C operand) offers its verdict; takes the next command once that is taken.

    The first rule broken gives the status, in the order UNSUPPORTED, SIZE, ALIGNMENT, ADDRESS (see `docs/tensor.md`).

    Members
    -------
    command
        `ready` is a register's.
    verdict
        From registers that don't change while it is offered. Boxes of operands that the command doesn't have mean nothing.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "command": In(stream.Signature(TensorCommand)),
            "verdict": Out(stream.Signature(Verdict(config))),
        })

    def elaborate(self, platform):
        m = Module()
        command = Signal(TensorCommand)
        job, completion = self.verdict.payload.job, self.verdict.payload.completion
        accept, release, busy = Signal(), Signal(), Signal()
        m.d.comb += [accept.eq(self.command.valid & self.command.ready), release.eq(self.verdict.valid & self.verdict.ready)]

        # Products in the first three steps, then the boxes: the one of A in six steps, those of C (if any), D and B in five or eight.
        step = Signal(4)
        with m.If(accept):
            m.d.sync += [command.eq(self.command.payload), step.eq(0), busy.eq(1), self.command.ready.eq(0)]
        with m.Else():
            with m.If(busy & ~self.verdict.valid):
                m.d.sync += step.eq(step + 1)
            with m.If(release | ~busy):
                m.d.sync += [busy.eq(0), self.command.ready.eq(1)]

        formats = self._formats(m, command, job)
        rows, size_fault = self._products(m, command, step, job)
        faults, last = self._boxes(m, command, job, step, busy, formats)
        self._verdict(m, command, job, completion, formats, size_fault, faults)
        self._job(m, command, job, formats, rows)
        # Three steps of the bounds unit after the last term, and one for its result to be caught.
        m.d.comb += self.verdict.valid.eq(busy & (step == last + 4))
        return m

    def _formats(self, m, command, job) -> dict:
        """What the format codes stand for in this chip."""
        known, floating = Signal(), Signal()
        lane_mask, group_size = Signal(4), Signal(6)
        with m.Switch(command.mode.a_format):
            for format in operands(self.config):
                lanes = self.config.lanes(format)
                with m.Case(format):
                    m.d.comb += [
                        known.eq(1), floating.eq(format in FLOATS), job.element.eq(element_log2(format)),
                        lane_mask.eq(lanes - 1), job.group.eq(lanes.bit_length() - 1), group_size.eq(group_bytes(self.config, format)),
                    ]
        result_known = Signal()
        with m.Switch(command.mode.d_format):
            for kind, results in _RESULTS.items():
                for format in results:
                    with m.Case(format):
                        m.d.comb += [result_known.eq(floating == kind), job.d_element.eq(element_log2(format))]
        return {"known": known & result_known, "lane_mask": lane_mask, "group_size": group_size}

    def _products(self, m, command, step, job):
        """Taps, K and M by one multiplier, a step each. Returns M and whether taps or K have more than 16 bits."""
        a, b = Signal(16), Signal(16)
        product, k, rows, fault = Signal(32), Signal(16), Signal(32), Signal()
        m.d.sync += product.eq(a * b)
        with m.Switch(step):
            with m.Case(0):
                m.d.comb += [a.eq(command.kh), b.eq(command.kw)]
            with m.Case(1):
                m.d.comb += [a.eq(product), b.eq(command.channels)]
                m.d.sync += fault.eq(product[16:].any())
            with m.Case(2):
                m.d.comb += [a.eq(command.ow), b.eq(command.oh)]
                m.d.sync += [k.eq(product), fault.eq(fault | product[16:].any())]
            with m.Case(3):
                m.d.sync += rows.eq(product)
        m.d.comb += job.k.eq(k)
        return rows, fault

    def _terms(self, m, command, job, formats) -> dict[str, list[tuple]]:
        """(size, stride) of every dimension of each operand, and its tail: the bytes from the highest index to the operand's end."""
        mode = command.mode
        last_lanes = ((command.channels - 1) & formats["lane_mask"])[:4] + 1
        last_bytes = (last_lanes << job.element)[:6]
        more = ((command.channels - 1)[:16] >> job.group)[:16]
        # The last group of a tap may be short, so with a small stride the group before reaches further.
        missing = (formats["group_size"] - last_bytes)[:6]
        overlap = more.any() & (command.a_c < missing)
        # Registered, since a multiplier follows: the groups of A are not among the first terms.
        a_groups = Signal(16)
        m.d.sync += a_groups.eq(Mux(overlap & ~command.a_c[-1], more, more + 1))
        sizes = {
            # Transposed: channels have a stride each, the rows of ow are dense.
            "a_c": Mux(mode.transpose_a, command.channels[:16], a_groups), "a_ow": Mux(mode.transpose_a, 1, command.ow[:16]),
            "b_k": Mux(mode.transpose_b, command.n[:16], job.k),
        }
        tails = {
            "a": Mux(mode.transpose_a, command.ow[:16] << job.element, Mux(overlap, formats["group_size"], last_bytes)) - 1,
            "b": (Mux(mode.transpose_b, job.k, command.n[:16]) << job.element) - 1,
            "c": (command.n[:16] << 2) - 1,
            "d": (command.n[:16] << job.d_element) - 1,
        }
        return {
            operand: [
                (sizes[word] if word in sizes else command[word.removeprefix(f"{operand}_")], command[word], tails[operand])
                for word in words[1:]
            ]
            for operand, words in _WORDS.items()
        }

    def _boxes(self, m, command, job, step, busy, formats):
        """Two bounds units, a dimension of one operand a step. Returns (fault, address) by operand, and the step of the last term."""
        terms = self._terms(m, command, job, formats)
        accumulate = command.mode.accumulate
        index = Signal(5)
        m.d.comb += index.eq(Mux(accumulate, step, step + len(terms["c"])))
        faults = {}
        for name, operands_, place in (("bounds_a", ("a",), step), ("bounds_rest", ("c", "d", "b"), index)):
            unit = Bounds()
            m.submodules[name] = unit
            owner = Signal(2, name=f"{name}_owner")
            m.d.comb += [unit.term.low.eq(0), unit.term.limit.eq(self.config.l1_bytes)]
            number = 0
            with m.Switch(place):
                for operand in operands_:
                    for position, (size, stride, tail) in enumerate(terms[operand]):
                        first, last = position == 0, position == len(terms[operand]) - 1
                        with m.Case(number):
                            m.d.comb += [
                                unit.valid.eq(busy), unit.term.size.eq(size), unit.term.stride.eq(stride), unit.term.first.eq(first),
                                unit.term.last.eq(last), unit.term.base.eq(command[f"{operand}_base"]), unit.term.tail.eq(tail),
                            ]
                        number += 1
            # Results come in the order of the operands.
            with m.If(step == 0):
                m.d.sync += owner.eq(Mux(accumulate, 0, 1) if len(operands_) > 1 else 0)
            with m.Elif(unit.result.valid):
                m.d.sync += owner.eq(owner + 1)
            for number, operand in enumerate(operands_):
                fault, address = Signal(name=f"{operand}_fault"), Signal(32, name=f"{operand}_address")
                box = self.verdict.payload.boxes[operand]
                held = Signal(BoxLayout(self.config), name=f"{operand}_box")
                m.d.comb += box.eq(held)
                with m.If(unit.result.valid & (owner == number)):
                    m.d.sync += [
                        fault.eq(unit.result.fault), address.eq(unit.result.address),
                        held.low.eq(unit.result.lowest), held.high.eq(unit.result.highest),
                    ]  # fmt: skip
                faults[operand] = (fault, address)
        a_last = len(terms["a"]) - 1
        rest_last = sum(len(terms[operand]) for operand in "cdb") - 1
        return faults, Mux(accumulate, max(rest_last, a_last), max(rest_last - len(terms["c"]), a_last))

    def _verdict(self, m, command, job, completion, formats, size_fault, faults):
        mode = command.mode

        def misaligned(element, words):
            low = reduce(or_, (command[word][:2] for word in words))
            return Mux(element == 2, low.any(), (element == 1) & low[0])

        def wrong(value: Value):
            return value[16:].any() | ~value[:16].any()

        wrong_size = reduce(or_, (wrong(command[size]) for size in _SIZES)) | size_fault
        a_words = [word for word in _WORDS["a"] if word != "a_ow"]
        unaligned = (
            misaligned(job.element, a_words) | ~mode.transpose_a & misaligned(job.element, ["a_ow"]) | misaligned(job.element, _WORDS["b"])
            | mode.accumulate & misaligned(2, _WORDS["c"]) | ~mode.to_vector & misaligned(job.d_element, _WORDS["d"])
        )  # fmt: skip
        used = {"a": 1, "b": 1, "c": mode.accumulate, "d": ~mode.to_vector}
        with m.If(~formats["known"]):
            m.d.comb += completion.status.eq(Status.UNSUPPORTED)
        with m.Elif(wrong_size):
            m.d.comb += completion.status.eq(Status.SIZE)
        with m.Elif(unaligned):
            m.d.comb += completion.status.eq(Status.ALIGNMENT)
        for operand in "abcd":
            fault, address = faults[operand]
            with m.Elif(fault & used[operand]):
                m.d.comb += [completion.status.eq(Status.ADDRESS), completion.address.eq(address)]

    def _job(self, m, command, job, formats, rows):
        mode, tile_rows = command.mode, self.config.accumulator_rows
        # Where the groups of A lie side by side, one access serves all rows of PEs; transposed, the transposer puts them side by side.
        dense = (command.a_c == formats["group_size"]) if self.config.pe_rows > 1 else 1
        whole = dense | mode.transpose_a
        lanes = formats["lane_mask"] + 1
        all_rows = sum(command.a_c for _ in range(self.config.pe_rows))
        m.d.comb += [
            job.tag.eq(command.tag), job.a_format.eq(mode.a_format), job.d_format.eq(mode.d_format), job.align.eq(mode.align),
            job.accumulate.eq(mode.accumulate), job.to_vector.eq(mode.to_vector), job.skip_zero.eq(mode.skip_zero),
            job.transpose_a.eq(mode.transpose_a), job.transpose_b.eq(mode.transpose_b),
            job.c_broadcast.eq(~(command.c_ow.any() | command.c_oh.any())),
            job.m_tiles.eq((rows + (tile_rows - 1)) >> (tile_rows.bit_length() - 1)),
            job.pass_elements.eq(Mux(whole, sum(lanes for _ in range(self.config.pe_rows)), lanes)),
            job.a_pass.eq(Mux(mode.transpose_a, all_rows << job.group, Mux(dense, all_rows, command.a_c))),
        ]  # fmt: skip
        names = {*_SIZES, *(word for words in _WORDS.values() for word in words)}
        m.d.comb += [job[name].eq(command[name]) for name in sorted(names)]
