"""Front end of the tensor core: checks a command whole and turns it into a job, while the job before still runs."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bounds import Bounds
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Completion, Status, TensorCommand
from rtl.tensor.formats import element_log2, group_bytes, operands
from rtl.tensor.job import JobLayout
from rtl.tensor.multiply import SerialMultiplier

__all__ = ["Frontend", "Verdict"]

_SIZES = ("kh", "kw", "channels", "ow", "oh", "n", "batch")
#: Base and strides of each operand.
_WORDS = {
    "a": ("a_base", "a_kw", "a_kh", "a_ow", "a_oh", "a_batch", "a_c"),
    "b": ("b_base", "b_k", "b_batch"),
    "c": ("c_base", "c_ow", "c_oh", "c_batch"),
    "d": ("d_base", "d_ow", "d_oh", "d_batch"),
}
#: D formats by the kind of the operands.
_RESULTS = {True: (Format.FP32, Format.FP16, Format.BF16), False: (Format.INT32,)}


class Verdict(data.StructLayout):
    """A checked command: the job, and how it fails if `completion.status` isn't OK."""

    def __init__(self, config: ChipConfig):
        super().__init__({"job": JobLayout(config), "completion": Completion})


class Frontend(wiring.Component):
    """Takes a command and some 25 cycles later offers its verdict; takes the next command once the verdict is taken.

    The first rule broken gives the status, in the order UNSUPPORTED, SIZE, ALIGNMENT, ADDRESS (see `docs/tensor.md`).

    Members
    -------
    command
        `ready` is a register's.
    verdict
        From registers that don't change while it is offered.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "command": In(stream.Signature(TensorCommand)),
            "verdict": Out(stream.Signature(Verdict(config))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = Bounds()
        m.submodules.multiplier = multiplier = SerialMultiplier()
        command = Signal(TensorCommand)
        job, completion = self.verdict.payload.job, self.verdict.payload.completion
        accept, release = Signal(), Signal()
        m.d.comb += [accept.eq(self.command.valid & self.command.ready), release.eq(self.verdict.valid & self.verdict.ready)]
        with m.If(accept):
            m.d.sync += command.eq(self.command.payload)

        formats = self._formats(m, command, job)
        products, size_fault = self._products(m, command, accept, release, multiplier, job)
        terms_done, fault, address = self._bounds(m, command, job, accept, release, bounds, formats, products)
        self._verdict(m, command, job, completion, formats, size_fault, fault, address)
        self._job(m, command, job, formats, multiplier)

        m.d.comb += self.verdict.valid.eq(terms_done & products["m"])
        with m.If(accept):
            m.d.sync += self.command.ready.eq(0)
        with m.Elif(release | ~self._busy):
            m.d.sync += self.command.ready.eq(1)
        return m

    def _formats(self, m, command, job) -> dict:
        """What the format codes stand for in this chip."""
        known, floating = Signal(), Signal()
        lane_mask, group_log2, group_size = Signal(4), Signal(2), Signal(6)
        pass_lanes = Signal.like(job.pass_elements)
        with m.Switch(command.mode.a_format):
            for format in operands(self.config):
                lanes = self.config.lanes(format)
                with m.Case(format):
                    m.d.comb += [
                        known.eq(1), floating.eq(format is Format.FP32), job.element.eq(element_log2(format)),
                        lane_mask.eq(lanes - 1), group_log2.eq(lanes.bit_length() - 1),
                        group_size.eq(group_bytes(self.config, format)), pass_lanes.eq(lanes * self.config.pe_rows),
                    ]
        result_known = Signal()
        with m.Switch(command.mode.d_format):
            for kind, results in _RESULTS.items():
                for format in results:
                    with m.Case(format):
                        m.d.comb += [result_known.eq(floating == kind), job.d_element.eq(element_log2(format))]
        return {
            "known": known & result_known, "lane_mask": lane_mask, "group_log2": group_log2, "group_size": group_size,
            "pass_lanes": pass_lanes,
        }

    def _products(self, m, command, accept, release, multiplier, job):
        """Taps, K and M, one after the other. Returns when K and M are known, and whether taps or K have more than 16 bits."""
        k, fault = Signal(16), Signal()
        finished = ~multiplier.busy
        m.d.comb += job.k.eq(k)
        with m.FSM(name="products") as fsm:
            with m.State("IDLE"):
                m.d.comb += [multiplier.a.eq(self.command.payload.kh), multiplier.b.eq(self.command.payload.kw)]
                with m.If(accept):
                    m.d.comb += multiplier.start.eq(1)
                    m.next = "TAPS"
            with m.State("TAPS"):
                m.d.comb += [multiplier.a.eq(command.channels), multiplier.b.eq(multiplier.product)]
                with m.If(finished):
                    m.d.comb += multiplier.start.eq(1)
                    m.d.sync += fault.eq(multiplier.product[16:].any())
                    m.next = "K"
            with m.State("K"):
                m.d.comb += [multiplier.a.eq(command.ow), multiplier.b.eq(command.oh)]
                with m.If(finished):
                    m.d.comb += multiplier.start.eq(1)
                    m.d.sync += [k.eq(multiplier.product), fault.eq(fault | multiplier.product[16:].any())]
                    m.next = "M"
            with m.State("M"):
                with m.If(release):
                    m.next = "IDLE"
        self._busy = ~fsm.ongoing("IDLE")
        return {"k": fsm.ongoing("M"), "m": fsm.ongoing("M") & finished}, fault

    def _bounds(self, m, command, job, accept, release, bounds, formats, products):
        """Feeds the bounds unit one dimension a cycle. Returns when all verdicts are in, whether one failed, and the first address."""
        last_lanes = ((command.channels - 1) & formats["lane_mask"])[:4] + 1
        last_bytes = (last_lanes << job.element)[:6]
        more = ((command.channels - 1)[:16] >> formats["group_log2"])[:16]
        # The last group of a tap may be short, so with a small stride the group before reaches further.
        missing = (formats["group_size"] - last_bytes)[:6]
        overlap = more.any() & (command.a_c < missing)
        # Registered, since a multiplier follows: the group of A is not among the first terms.
        a_groups = Signal(16)
        m.d.sync += a_groups.eq(Mux(overlap & ~command.a_c[-1], more, more + 1))
        tails = {
            "a": Mux(overlap, formats["group_size"], last_bytes) - 1,
            "b": (command.n[:16] << job.element) - 1,
            "c": (command.n[:16] << 2) - 1,
            "d": (command.n[:16] << job.d_element) - 1,
        }
        used = {"a": 1, "b": 1, "c": command.mode.accumulate, "d": ~command.mode.to_vector}
        sizes = {"c": a_groups, "k": job.k}
        terms = []
        for operand, words in _WORDS.items():
            for word in words[1:]:
                dimension = word.removeprefix(f"{operand}_")
                size = sizes[dimension] if dimension in sizes else command[dimension]
                terms.append((operand, size, command[word], word == words[1], word == words[-1], dimension == "k"))

        step = Signal(range(len(terms) + 8))
        term = bounds.term
        m.d.comb += [term.low.eq(0), term.limit.eq(self.config.l1_bytes)]
        blocked = Signal()
        with m.Switch(step):
            for number, (operand, size, stride, first, last, product) in enumerate(terms):
                with m.Case(number):
                    if product:
                        m.d.comb += blocked.eq(~products["k"])
                    m.d.comb += [
                        bounds.valid.eq(self._busy & used[operand] & ~blocked), term.size.eq(size), term.stride.eq(stride),
                        term.first.eq(first), term.last.eq(last), term.base.eq(command[f"{operand}_base"]), term.tail.eq(tails[operand]),
                    ]
        # Three cycles of the bounds unit, and one for its result to be caught.
        end = len(terms) + 4
        fault, address = Signal(), Signal(32)
        with m.If(accept):
            m.d.sync += [step.eq(0), fault.eq(0)]
        with m.Elif((step != end) & ~blocked):
            m.d.sync += step.eq(step + 1)
        with m.If(bounds.result.valid & bounds.result.fault & ~fault):
            m.d.sync += [fault.eq(1), address.eq(bounds.result.address)]
        return self._busy & (step == end), fault, address

    def _verdict(self, m, command, job, completion, formats, size_fault, fault, address):
        def misaligned(operand, element):
            low = reduce(or_, (command[word][:2] for word in _WORDS[operand]))
            return Mux(element == 2, low.any(), (element == 1) & low[0])

        wrong_size = reduce(or_, (command[size][16:].any() | ~command[size][:16].any() for size in _SIZES)) | size_fault
        unaligned = (
            misaligned("a", job.element) | misaligned("b", job.element)
            | command.mode.accumulate & misaligned("c", 2) | ~command.mode.to_vector & misaligned("d", job.d_element)
        )  # fmt: skip
        with m.If(~formats["known"] | command.mode.transpose_a | command.mode.transpose_b):
            m.d.comb += completion.status.eq(Status.UNSUPPORTED)
        with m.Elif(wrong_size):
            m.d.comb += completion.status.eq(Status.SIZE)
        with m.Elif(unaligned):
            m.d.comb += completion.status.eq(Status.ALIGNMENT)
        with m.Elif(fault):
            m.d.comb += [completion.status.eq(Status.ADDRESS), completion.address.eq(address)]

    def _job(self, m, command, job, formats, multiplier):
        tile_rows = self.config.accumulator_rows
        # Where the groups of A lie side by side, one access serves all rows of PEs.
        dense = (command.a_c == formats["group_size"]) if self.config.pe_rows > 1 else 1
        lanes = formats["lane_mask"] + 1
        row_stride = sum(command.a_c for _ in range(self.config.pe_rows))
        m.d.comb += [
            job.tag.eq(command.tag), job.a_format.eq(command.mode.a_format), job.d_format.eq(command.mode.d_format),
            job.accumulate.eq(command.mode.accumulate), job.to_vector.eq(command.mode.to_vector),
            job.c_broadcast.eq(~(command.c_ow.any() | command.c_oh.any())),
            job.m_tiles.eq((multiplier.product + (tile_rows - 1)) >> (tile_rows.bit_length() - 1)),
            job.pass_elements.eq(Mux(dense, formats["pass_lanes"], lanes)),
            job.a_pass.eq(Mux(dense, row_stride, command.a_c)),
        ]  # fmt: skip
        names = {*_SIZES, *(word for words in _WORDS.values() for word in words)} - {"a_c"}
        m.d.comb += [job[name].eq(command[name]) for name in sorted(names)]
