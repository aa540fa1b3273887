"""Encoder and decoder inside the simulator: every single and double error in each word, one atom a clock."""

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.memory.interface import Source, fetched, returned, verdict
from verif.common.clock import start
from verif.common.params import params, rng
from verif.common.streams import pack, unpack
from verif.memory.ecc.code import atom_of, check_of, judge, patterns, words_of
from verif.memory.ecc.system import ATOM_BITS


async def _stream(dut, cases, ecc: bool):
    """Drives (data, errors of each word) one a clock, some clocks apart at random, and compares what comes one clock later."""
    random = rng("codec")
    expected = None
    await FallingEdge(dut.clk)
    dut.ecc.value = int(ecc)
    dut.stored.value = 0
    clocks = [clock for case in cases for clock in ([case] if random.random() > 0.05 else [None, case])]
    for case in [*clocks, None]:
        gap = case is None
        data, errors = case or (0, [0] * 4)
        await FallingEdge(dut.clk)
        tag = {"slot": random.randrange(256), "source": random.choice(list(Source))}
        atom = random.randrange(1 << ATOM_BITS)
        wrong_data, wrong_check = atom_of([(error & (1 << 64) - 1, error >> 64) for error in errors])
        dut.stored.value = pack(fetched(ATOM_BITS), {"valid": not gap, "tag": tag, "atom": atom, "data": data, "check": 0})
        dut.wrong_data.value, dut.wrong_check.value = wrong_data, wrong_check
        await ReadOnly()
        back = unpack(returned(), int(dut.returned.value))
        if expected:
            assert back.valid and (back.tag.slot, back.tag.source, back.data, back.bad) == expected[:4], "the atom that comes back"
            at = unpack(verdict(ATOM_BITS), int(dut.verdict.value))
            assert (at.atom, at.corrected) == expected[4:], "the verdict"
        else:
            assert not back.valid
        check = int(dut.check.value)
        good = [check_of(word) for word, _ in words_of(data, 0)]
        assert check == sum(byte << 8 * word for word, byte in enumerate(good)), "check bits"
        stored = [(word ^ wrong_word, code ^ wrong_code) for (word, code), (wrong_word, wrong_code)
                  in zip(words_of(data, check), words_of(wrong_data, wrong_check), strict=True)]
        judged = [judge(word) if ecc else (word[0], "clean") for word in stored]
        for (word, kind), error, (plain, _) in zip(judged, errors, words_of(data, 0), strict=True):
            if ecc:
                assert kind == ("clean", "single", "bad")[error.bit_count()] and (kind == "bad" or word == plain), "the tests' own model"
        bits = {kind: sum((found == kind) << word for word, (_, found) in enumerate(judged)) for kind in ("single", "bad")}
        whole = sum(word << 64 * number for number, (word, _) in enumerate(judged))
        expected = None if gap else (tag["slot"], tag["source"], whole, bits["bad"], atom, bits["single"])


@cocotb.test()
async def every_pattern(dut):
    """cp_single, cp_double: all 72 and all 2,556, in each word of the atom, with another pattern in the others."""
    every = patterns()
    assert len(every) == 72 + 2556
    await start(dut, 8000 * params().get("rounds", 1))
    data = rng("data")
    for _ in range(params().get("rounds", 1)):
        data.shuffle(every)
        cases = [(data.getrandbits(256), [every[(number + 657 * word) % len(every)] for word in range(4)]) for number in range(len(every))]
        await _stream(dut, cases, ecc=True)


@cocotb.test()
async def clean_and_off(dut):
    """cp_clean, cp_off: no error, and errors while the code is off."""
    await start(dut, 3000)
    data = rng("data")
    extremes = [0, (1 << 256) - 1, *(1 << 64 * word for word in range(4))]
    await _stream(dut, [(value, [0] * 4) for value in [*extremes, *(data.getrandbits(256) for _ in range(300))]], ecc=True)
    every = patterns()
    await _stream(dut, [(data.getrandbits(256), [data.choice(every) for _ in range(4)]) for _ in range(300)], ecc=False)
