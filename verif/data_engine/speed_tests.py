"""How long it takes: causes of cycles, and bytes a cycle."""

import cocotb

from rtl.isa import Cause, DataOp, Space
from verif.data_engine.bench import L3_BYTES, Bench
from verif.data_engine.model import make


@cocotb.test()
async def activity(dut):
    """Every cycle has its cause, bytes from and to L3 add up, and the tag is that of the oldest command."""
    bench = await Bench.create(dut, "activity", 60_000)
    beat = bench.config.bus_bytes
    for source, destination, op in [
        (Space.L3, Space.L1, DataOp.COPY), (Space.L1, Space.L3, DataOp.COPY), (Space.L2, Space.L3, DataOp.COPY),
        (Space.L1, Space.L1, DataOp.COPY), (Space.L1, Space.L3, DataOp.FILL), (Space.L3, Space.L2, DataOp.FILL),
    ]:
        rows, length = 5, 100
        command = make(op, source, destination, size=[length, rows], src_stride=[1, 304], dst_stride=[1, 208], src_base=4096 + 5,
                       dst_base=16384 + 3, tag=0xABC00000 | bench.rng.randrange(1, 1 << 16))
        log = bench.watch()
        before = dict(bench.memory.beats)
        await bench.run([command, command])
        await bench.settle()
        log.stop()
        moved = 2 * rows * length
        assert log.read == (moved if op is DataOp.COPY and source is Space.L3 else 0)
        assert log.written == (moved if destination is Space.L3 else 0)
        assert log.tags == {command["tag"] & 0xFFFF}
        if destination is not Space.L1:
            assert log.causes[Cause.BUSY] == bench.memory.beats["write"] - before["write"]
        else:
            assert log.causes[Cause.BUSY] == 2 * rows * -(-length // beat)
        uses = {destination} | ({source} if op is DataOp.COPY else set())
        assert log.causes[Cause.MEMORY] > 0 if uses != {Space.L1} else log.causes[Cause.MEMORY] == 0
        if Space.L1 not in uses:
            assert log.causes[Cause.OPERAND] == 0
        assert set(log.causes) <= {Cause.IDLE, Cause.BUSY, Cause.MEMORY, Cause.OPERAND}
        # Once a command is inside, idle comes only when the last one is done.
        assert log.gaps == 0


@cocotb.test()
async def bandwidth(dut):
    """Bytes a cycle from the first command's acceptance to the last `done`, on memories that are always ready, with 40 cycles to
    the first beat of a read and to the response of a write."""
    bench = await Bench.create(dut, "bandwidth", 60_000, stall=0, latency=(40, 40), l1_latency=2, window=(0, L3_BYTES))
    beat, l1 = bench.config.bus_bytes, bench.config.l1_bytes

    def rows(source, destination, count, length, src_pitch, dst_pitch, src_base=0, dst_base=0):
        return make(DataOp.COPY, source, destination, size=[length, count], src_stride=[1, src_pitch], dst_stride=[1, dst_pitch],
                    src_base=src_base, dst_base=dst_base)

    def dense(source, destination, count, total, src_base=0, dst_base=0):
        return rows(source, destination, count, total // count, total // count, total // count, src_base, dst_base)

    half = l1 // 2
    cases = {
        # name: (commands, least share of the bus)
        "L3 to L1, 64 KiB dense": ([dense(Space.L3, Space.L1, 128, l1, src_base=i * l1) for i in range(2)], 0.93),
        "L1 to L3, 32 KiB dense": ([dense(Space.L1, Space.L3, 128, half, dst_base=i * half) for i in range(2)], 0.9),
        "L3 to L1, 32 KiB dense, unaligned": ([dense(Space.L3, Space.L1, 1, half, i * half + 5, 9) for i in range(2)], 0.9),
        "L3 to L3, 8 KiB dense, unaligned": ([dense(Space.L3, Space.L3, 1, half // 2, 3, l1 + 8)], 0.75),
        "L3 to L1, rows of 256 byte": ([rows(Space.L3, Space.L1, 64, 256, 512, 256)], 0.85),
        "L3 to L1, rows of 64 byte": ([rows(Space.L3, Space.L1, 128, 64, 128, 64)], 0.6),
        "L1 to L3, rows of 64 byte": ([rows(Space.L1, Space.L3, 128, 64, 64, 128)], 0.6),
        "L1 to L1, rows of 64 byte": ([rows(Space.L1, Space.L1, 64, 64, 128, 64, dst_base=half)], 0.8),
    }
    for name, (commands, share) in cases.items():
        log = bench.watch()
        await bench.run(commands)
        await bench.settle()
        log.stop()
        moved = sum(command["size0"] * command["size1"] for command in commands)
        rate = moved / log.busy
        dut._log.info(f"bandwidth: {name}: {moved} bytes in {log.busy} cycles, {rate:.2f} bytes a cycle of {beat}")
        assert rate >= share * beat, f"{name}: {rate:.2f} bytes a cycle are less than {share} of {beat}"
