"""A scheduler and its device, as the guard sees them, and what the requesters must see."""

import random
from collections.abc import Callable

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.memory.interface import Source, coded_request, fetched
from verif.common.streams import pack, unpack
from verif.memory.ecc.code import POISON, Word, atom_of, check_of, flip, judge, words_of
from verif.memory.ecc.system import ATOM_BITS

__all__ = ["Memory", "Reference"]


class Memory:
    """Takes the stream `coded` with stalls and answers on `fetched`: after random delays, in any order but that of the same atom, one
    read a clock. Writes are stored at once; with `ecc` each must be whole and have its check bits, or be poisoned or `spoiled`.

    Members
    -------
    stored
        Four words of each atom; zeros where nobody wrote.
    reads, writes
        What came, (source, slot, atom) and (atom, words).
    watch
        Called with (source, atom, kinds of the four words) of each read as it is accepted.
    guarded
        Atoms whose read by the guard is under way.
    """

    def __init__(self, dut, rng: random.Random, *, ecc: bool = True, stall: float = 0.3, latency: tuple[int, int] = (1, 60), depth: int = 40):
        self._dut, self._rng = dut, rng
        self.ecc, self.stall, self.latency, self.depth = ecc, stall, latency, depth
        self.stored: dict[int, list[Word]] = {}
        self.reads: list[tuple[Source, int, int]] = []
        self.writes: list[tuple[int, list[Word]]] = []
        self.watch: Callable = lambda source, atom, kinds: None
        self.guarded: set[int] = set()
        self.spoiled = False
        self._pending: list[tuple[int, Source, int, dict]] = []
        self._clock = 0
        cocotb.start_soon(self._serve())

    def words(self, atom: int) -> list[Word]:
        return self.stored.setdefault(atom, [(0, 0)] * 4)

    def kinds(self, atom: int) -> list[str]:
        return [judge(word)[1] for word in self.words(atom)]

    def flip(self, atom: int, word: int, bits: int = 1):
        self.words(atom)[word] = flip(self.words(atom)[word], self._rng, bits)

    async def _serve(self):
        dut, offered = self._dut, None
        while True:
            await FallingEdge(dut.clk)
            self._clock += 1
            ready = len(self._pending) < self.depth and self._rng.random() >= self.stall
            dut.coded__ready.value = int(ready)
            self._answer()
            await ReadOnly()
            if not int(dut.coded__valid.value):
                assert offered is None, "the offer on coded was taken back"
                continue
            bits = int(dut.coded__payload.value)
            assert offered in (None, bits), "the offer on coded changed"
            offered = None if ready else bits
            if ready:
                self._take(unpack(coded_request(ATOM_BITS), bits))

    def _answer(self):
        due = [entry for entry in self._pending if entry[0] <= self._clock]
        if not due:
            self._dut.fetched.value = self._rng.getrandbits(256) << 1  # not valid: what it holds must not count
            return
        entry = self._rng.choice(due)
        self._pending.remove(entry)
        if entry[1] is Source.GUARD:
            self.guarded.discard(entry[2])
        self._dut.fetched.value = pack(fetched(ATOM_BITS), entry[3])

    def _take(self, given):
        atom, words = given.atom, self.words(given.atom)
        if not given.write:
            data, check = atom_of(words)
            source = given.tag.source
            self.reads.append((source, given.tag.slot, atom))
            self.watch(source, atom, self.kinds(atom))
            if source is Source.GUARD:
                assert atom not in self.guarded, "two entries of the guard have the same atom"
                self.guarded.add(atom)
            answer = {"valid": 1, "tag": {"slot": given.tag.slot, "source": source}, "atom": atom, "data": data, "check": check}
            self._pending.append((self._clock + self._rng.randint(*self.latency), source, atom, answer))
            return
        fresh = words_of(given.data, given.check)
        for word, (data, check) in enumerate(fresh):
            strobe = given.strobe >> 8 * word & 0xFF
            if self.ecc:
                assert strobe == 0xFF, "a write in part reached the scheduler"
                assert self.spoiled or check in (check_of(data), check_of(data) ^ POISON), "check bits of a write"
            elif strobe == 0xFF:
                assert check == check_of(data), "check bits of a word written wholly, without the code"
            keep = sum(0xFF << 8 * byte for byte in range(8) if not strobe >> byte & 1)
            if strobe:
                words[word] = (words[word][0] & keep | data & ~keep, check)
        self.writes.append((atom, list(words)))


class Reference:
    """What requesters must see: data of each word, None where an error can't be corrected. Requests come in the order of acceptance."""

    def __init__(self):
        self.atoms: dict[int, list[int | None]] = {}

    def words(self, atom: int) -> list[int | None]:
        return self.atoms.setdefault(atom, [0] * 4)

    def write(self, atom: int, data: int, strobe: int):
        words = self.words(atom)
        for word in range(4):
            mask = sum(0xFF << 8 * byte for byte in range(8) if strobe >> (8 * word + byte) & 1)
            before = words[word]
            fresh = data >> 64 * word & (1 << 64) - 1
            if mask == (1 << 64) - 1:
                words[word] = fresh
            elif before is not None:
                words[word] = before & ~mask | fresh & mask

    def check(self, atom: int, expected: list[int | None], data: int, bad: int):
        for word, value in enumerate(expected):
            found = data >> 64 * word & (1 << 64) - 1
            assert bool(bad >> word & 1) == (value is None), f"atom {atom}, word {word}: bad {bad:04b}, expected {value}"
            assert value is None or found == value, f"atom {atom}, word {word}: {found:016x}, expected {value:016x}"
