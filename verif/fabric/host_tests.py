"""The host port: every kind of AXI4 burst, judged by the standard's own address formulas; then a bus model of other hands."""

import logging

import cocotb
from cocotb.triggers import ClockCycles, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from rtl.bus.axi import CHUNK_BYTES, L2_SELECT_BIT, Response
from verif.common.params import params, rng
from verif.fabric.bench import CONFIG, Around
from verif.fabric.coverage import HostCoverage
from verif.fabric.master import Burst, Master

BUS = CONFIG.bus_bytes
FULL = (BUS - 1).bit_length()
PAGE = 4096


def beat_addresses(address: int, beats: int, size: int, burst: Burst) -> list[int]:
    """Byte address of each beat (IHI 0022, "Burst address")."""
    number_bytes = 1 << size
    aligned = address // number_bytes * number_bytes
    if burst is Burst.FIXED:
        return [address] * beats
    following = [aligned + number * number_bytes for number in range(1, beats)]
    if burst is Burst.WRAP:
        total = number_bytes * beats
        boundary = address // total * total
        following = [boundary + (one - boundary) % total for one in following]
    return [address, *following]


def beat_bytes(address: int, size: int) -> range:
    """The byte addresses that a beat carries."""
    return range(address, (address >> size << size) + (1 << size))


def random_burst(random, page: int) -> dict:
    burst = random.choice([Burst.INCR, Burst.INCR, Burst.FIXED, Burst.WRAP])
    size = random.choice([FULL, random.randint(0, FULL)])
    offset = random.choice([0, random.randrange(PAGE)])
    if burst is Burst.WRAP:
        return {"address": page + (offset >> size << size), "beats": random.choice([2, 4, 8, 16]), "size": size, "burst": burst}
    most = 16 if burst is Burst.FIXED else min(256, (PAGE - offset // (1 << size) * (1 << size)) >> size)
    beats = most if random.random() < 0.1 else random.randint(1, min(most, 40))
    return {"address": page + offset, "beats": beats, "size": size, "burst": burst}


class Host:
    """Random bursts, several in flight, each in a page of its own."""

    def __init__(self, around: Around, stall: float):
        self.around = around
        self.master = Master(around.dut, "host", rng("host"), bus_bytes=BUS, stall=stall)
        self.busy: set[int] = set()
        self.kinds: dict[str, int] = {}
        self.stall = stall
        self.coverage = HostCoverage(FULL)

    async def run(self, random, bursts: int):
        l2 = 1 << L2_SELECT_BIT
        pages = [0, PAGE, CONFIG.l3_bytes - PAGE, l2, l2 + CONFIG.l2_bytes - PAGE, CONFIG.l3_bytes, l2 + CONFIG.l2_bytes, 3 * PAGE]
        tasks = []
        while len(tasks) < bursts:
            page = random.choice(pages)
            if page in self.busy or len(self.busy) > 5:
                await ClockCycles(self.around.dut.clk, 1)
                continue
            self.busy.add(page)
            step = self._write if random.random() < 0.5 else self._read
            tasks.append(cocotb.start_soon(step(random, page)))
        for task in tasks:
            await task

    def _resp(self, address: int) -> int:
        return self.around.space.resp(address // CHUNK_BYTES)

    async def _read(self, random, page: int):
        wanted = random_burst(random, page)
        transfer = self.master.read(**wanted)
        await transfer.done.wait()
        for number, address in enumerate(beat_addresses(**wanted)):
            resp = self._resp(address)
            assert transfer.resp[number] == resp, f"beat {number} of {wanted}: response {transfer.resp[number]}, expected {resp}"
            for byte in beat_bytes(address, wanted["size"]):
                found, expected = transfer.data[number] >> 8 * (byte % BUS) & 0xFF, self.around.space.byte(byte)
                if resp == Response.OKAY.value:
                    assert found == expected, f"byte {byte:#x} in beat {number} of {wanted}: {found:#04x}, expected {expected:#04x}"
        self._end(page, False, wanted, max(transfer.resp))

    async def _write(self, random, page: int):
        wanted = random_burst(random, page)
        addresses = beat_addresses(**wanted)
        data = [random.getrandbits(8 * BUS) for _ in addresses]
        lanes = [sum(1 << byte % BUS for byte in beat_bytes(address, wanted["size"])) for address in addresses]
        strobe = [mask & random.choice([-1, random.getrandbits(BUS)]) for mask in lanes]
        transfer = self.master.write(wanted["address"], data, strobe, size=wanted["size"], burst=wanted["burst"])
        await transfer.done.wait()
        worst = max(self._resp(address) for address in addresses)
        assert transfer.resp == [worst], f"{wanted}: response {transfer.resp[0]}, expected {worst}"
        for address, word, mask in zip(addresses, data, strobe, strict=True):
            self.around.space.byte(address)
            for byte in beat_bytes(address, wanted["size"]):
                if mask >> byte % BUS & 1:
                    self.around.space.store(byte, word >> 8 * (byte % BUS) & 0xFF)
        self._end(page, True, wanted, worst)

    def _end(self, page: int, write: bool, wanted: dict, worst: int):
        chunks = {address // CHUNK_BYTES for address in beat_addresses(**wanted)}
        self.coverage.sample(
            write, wanted["burst"].name, wanted["size"], wanted["address"], wanted["beats"], len(chunks), worst, self.stall,
        )
        kind = f"{wanted['burst'].name} {'write' if write else 'read'} {worst}"
        self.busy.discard(page)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


@cocotb.test()
async def random_bursts(dut):
    """INCR, WRAP and FIXED, narrow and unaligned, up to 256 beats; two rounds with idle time between."""
    around = await Around.bring_up(dut)
    host = Host(around, 0.3)
    for number, stall in enumerate((0.3, 0.0)):
        around.set_stall(stall)
        host.master.set_stall(stall)
        host.stall = stall
        await host.run(rng(f"round {number}"), params().get("bursts", 60))
        around.check_slaves()
        await around.idle()
    host.coverage.export()
    dut._log.info("bursts by kind and worst response: %s", dict(sorted(host.kinds.items())))
    for kind in ("INCR read 0", "INCR read 2", "INCR write 0", "INCR write 2", "INCR write 3"):
        assert kind in host.kinds, f"no {kind}"
    for kind in ("WRAP read 0", "WRAP write 0", "FIXED read 0", "FIXED write 0"):
        assert kind in host.kinds, f"no {kind}"


@cocotb.test()
async def full_rate(dut):
    """Full-width INCR bursts keep the rate of one beat a cycle, read and write at once."""
    around = await Around.bring_up(dut)
    around.set_stall(0.0)
    for slave in around.slaves.values():
        slave.orderly, slave.errors = True, False
    master = Master(dut, "host", rng("host"), bus_bytes=BUS, stall=0.0)
    beats = min(256, PAGE // BUS)
    transfers = [master.read(number * PAGE, beats) for number in range(3)]
    transfers += [master.write((8 + number) * PAGE, [number] * beats, [(1 << BUS) - 1] * beats) for number in range(3)]
    begin = get_sim_time("ns")
    for transfer in transfers:
        await transfer.done.wait()
    cycles = (get_sim_time("ns") - begin) / 10
    dut._log.info("host: %d beats each way in %d cycles", 3 * beats, cycles)
    assert cycles <= 3 * beats + 60, f"{3 * beats} beats each way took {cycles} cycles"


@cocotb.test()
async def axi_master(dut):
    """cocotbext-axi's master: transfers of any length, address and beat size, four at a time."""
    around = await Around.bring_up(dut)
    for slave in around.slaves.values():
        slave.errors, slave.latency = False, 6
    logging.getLogger("cocotb.dut.host").setLevel(logging.WARNING)
    master = AxiMaster(AxiBus.from_prefix(dut, "host", bus_separator="__"), dut.clk, dut.rst)
    for part in (master.write_if, master.read_if):
        part.log.setLevel(logging.WARNING)

    async def worker(number: int):
        random = rng(f"worker {number}")
        base = random.choice([0, 1 << L2_SELECT_BIT]) + number * 4096
        memory = bytearray(4096)
        await master.write(base, bytes(memory), awid=number)
        for _ in range(8):
            size, length = random.randint(0, FULL), random.randint(1, 200)
            address = random.randrange(len(memory) - length)
            data = random.randbytes(length)
            answer = await master.write(base + address, data, awid=random.randrange(16), size=size)
            assert answer.resp == AxiResp.OKAY
            memory[address : address + length] = data
            address = random.randrange(len(memory) - length)
            answer = await master.read(base + address, length, arid=random.randrange(16), size=random.randint(0, FULL))
            assert answer.resp == AxiResp.OKAY and answer.data == bytes(memory[address : address + length])

    tasks = [cocotb.start_soon(worker(number)) for number in range(4)]
    for task in tasks:
        await with_timeout(task, 500, "us")
    answer = await master.read(CONFIG.l3_bytes, 64)
    assert answer.resp == AxiResp.DECERR
