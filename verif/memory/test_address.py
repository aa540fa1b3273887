"""The address map: a bijection that spreads every power-of-two stride, in Python and in hardware."""

import random

import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from rtl.memory.address import AddressMap, Location


@pytest.mark.parametrize("rows", (2, 16, 2048))
def test_bijection(rows):
    address_map = AddressMap(rows)
    atoms = range(512 * rows) if rows < 100 else random.Random(1).sample(range(512 * rows), 5000)
    located = {address_map.locate(atom) for atom in atoms}
    assert len(located) == len(atoms)
    for bank, row, column in located:
        assert 0 <= bank < 16 and 0 <= row < rows and 0 <= column < 32
    for atom in atoms:
        assert address_map.atom(*address_map.locate(atom)) == atom


def test_pair_of_atoms_shares_a_row_and_neighbours_take_the_next_group():
    address_map = AddressMap(32768)
    locations = [address_map.locate(atom) for atom in range(512)]
    for first, second in zip(locations[::2], locations[1::2], strict=True):
        assert first[:2] == second[:2] and second[2] == first[2] + 1
    assert [bank for bank, _, _ in locations[:8:2]] == [0, 1, 2, 3]


@pytest.mark.parametrize("power", range(12, 25))
def test_strides(power):
    """From 4 KiB up, 16 accesses at a power-of-two stride fall on 16 banks, wherever they start."""
    address_map = AddressMap(32768)
    for start in random.Random(power).sample(range(1 << 24), 20):
        base = start & ~((16 << power) // 32 - 1) & 0xFFFFFF
        banks = {address_map.locate(base + (k << power) // 32 & 0xFFFFFF)[0] for k in range(16)}
        assert len(banks) == 16


def test_masks_fit_the_rows():
    assert all(mask < 16 for mask in AddressMap(16).masks)


@pytest.mark.parametrize("rows", (0, 1, 24, 65536))
def test_bad_rows(rows):
    with pytest.raises(ValueError, match=f"rows must be a power of two from 2 to 32768, not {rows}"):
        AddressMap(rows)


def test_hardware():
    address_map = AddressMap(2048)
    m = Module()
    atom, location = Signal(address_map.atom_bits), Signal(Location)
    m.d.comb += address_map.assign(location, atom)

    async def bench(ctx):
        for value in random.Random(2).sample(range(512 * 2048), 300):
            ctx.set(atom, value)
            await ctx.delay(1e-9)
            got = ctx.get(location)
            assert (got.bank << 2 | got.group, got.row, got.column) == address_map.locate(value)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
