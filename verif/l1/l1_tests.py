"""Random traffic on all ports of the L1, starvation, wrap-around and peak throughput."""

import cocotb

from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.l1.coverage import L1Coverage
from verif.l1.history import History
from verif.l1.ports import Ports, Request

CONFIG = config()
ROW = CONFIG.l1_banks * CONFIG.l1_bank_bytes
HISTORY = History(CONFIG.l1_bytes)
COVERAGE = L1Coverage(CONFIG)


async def bring_up(dut) -> Ports:
    await start(dut, 60_000)
    HISTORY.settle()
    return Ports(dut, CONFIG, HISTORY, rng("ports"), COVERAGE)


def owners(random, writers: list[str]) -> list[str]:
    """A writer for each byte of the hot window, in pieces of odd lengths."""
    pieces: list[str] = []
    while len(pieces) < 4 * ROW:
        pieces += [random.choice(writers)] * random.randint(1, 40)
    return pieces[: 4 * ROW]


def random_request(random, port, window: int, owner: list[str]) -> Request:
    """Anywhere in four rows from `window` on, which lie across the end of the memory. A writer strobes only bytes of its own."""
    where = random.randrange(4 * ROW - port.signature.width)
    address = (window + where) % CONFIG.l1_bytes
    width = port.signature.width
    if port.is_read:
        return Request(address, size=random.choice([width, random.randint(1, width)]))
    wanted = random.choice([(1 << width) - 1, random.getrandbits(width), 0])
    own = sum((owner[where + i] == port.name) << i for i in range(width))
    return Request(address, data=random.randbytes(width), strobe=wanted & own)


async def read_back(ports: Ports, window: int):
    """Every byte of the window through every read port."""
    for port in ports.ports.values():
        if port.is_read:
            for where in range(0, 4 * ROW, port.signature.width):
                ports.push(port.name, Request((window + where) % CONFIG.l1_bytes, size=port.signature.width))
    await ports.drain()


@cocotb.test()
async def random_traffic(dut):
    """Two rounds with idle time between them; the pieces of the memory change hands, and the stalls change."""
    ports = await bring_up(dut)
    random = rng("traffic")
    writers = [port.name for port in ports.ports.values() if not port.is_read]
    window = CONFIG.l1_bytes - 2 * ROW - 5
    for stall in (0.3, 0.0):
        owner = owners(random, writers)
        for port in ports.ports.values():
            port.stall = stall
            for _ in range(params().get("requests", 250)):
                ports.push(port.name, random_request(random, port, window, owner))
        await ports.drain()
        ports.history.settle()
        await read_back(ports, window)
        # Each writer over the end of the memory, and over that of a row, where its bytes may have been another's.
        for name in writers:
            width = ports.ports[name].signature.width
            for end in (CONFIG.l1_bytes, ROW):
                across = end - random.randint(1, width - 1)
                ports.push(name, Request(across, data=random.randbytes(width), strobe=(1 << width) - 1))
                await ports.drain()
        ports.history.settle()
        await read_back(ports, window)
        for _ in range(20):
            await ports.step()
    for port in ports.ports.values():
        assert port.taken == port.answered > 0
        dut._log.info("%s: %d requests, longest wait %d cycles", port.name, port.answered, port.worst)
    COVERAGE.export()


@cocotb.test()
async def nobody_starves(dut):
    """All ports want the same bank all the time; `Ports` checks every wait against its bound."""
    ports = await bring_up(dut)
    # So many requests that fixed priority alone would make the last port wait far beyond the bound.
    requests = ports.bound
    for lane, port in enumerate(ports.ports.values()):
        port.stall = 0
        for number in range(requests):
            # One byte of one word; each writer has its own.
            ports.push(port.name, Request(lane % CONFIG.l1_bank_bytes, size=1, data=bytes([number % 256]) * port.signature.width, strobe=1))
    await ports.drain()
    dut._log.info("one contended bank: longest wait %d cycles, bound %d", max(port.worst for port in ports.ports.values()), ports.bound)
    assert ports.cycle >= requests * len(ports.ports), "more than one access a cycle went to one bank"
    COVERAGE.export()


@cocotb.test()
async def peak_throughput(dut):
    """Ports that touch different banks all take one request a cycle, along a stride of a whole row."""
    ports = await bring_up(dut)
    bank, requests = 0, 64
    chosen = []
    for port in ports.ports.values():
        banks = -(-port.signature.width // CONFIG.l1_bank_bytes)
        if bank + banks <= CONFIG.l1_banks:
            chosen.append((port, bank))
            bank += banks
    for port, first in chosen:
        port.stall = 0
        width = port.signature.width
        for number in range(requests):
            address = (number * ROW + first * CONFIG.l1_bank_bytes) % CONFIG.l1_bytes
            ports.push(port.name, Request(address, size=width, data=bytes([number]) * width, strobe=(1 << width) - 1))
    begin = ports.cycle
    await ports.drain()
    cycles = ports.cycle - begin
    total = sum(port.signature.width for port, _ in chosen) * requests
    dut._log.info("peak: %d ports, %d bytes in %d cycles, %.1f of %d bytes a cycle", len(chosen), total, cycles, total / cycles, ROW)
    assert cycles <= requests + 6, f"{requests} requests on each port took {cycles} cycles"
    COVERAGE.export()


@cocotb.test()
async def skew_spreads_strides(dut):
    """Two read ports some rows apart with a stride of a row: without the skew they would meet in one bank."""
    ports = await bring_up(dut)
    requests = 64
    for index, name in enumerate(("tensor_a", "vector_x")):
        port = ports.ports[name]
        port.stall = 0
        distance = index * -(-port.signature.width // CONFIG.l1_bank_bytes)
        for number in range(requests):
            ports.push(name, Request((number + distance) * ROW % CONFIG.l1_bytes, size=port.signature.width))
    begin = ports.cycle
    await ports.drain()
    assert ports.cycle - begin <= requests + 6, f"{requests} requests took {ports.cycle - begin} cycles"
    COVERAGE.export()
