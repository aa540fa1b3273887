"""How long it takes: causes of cycles, and bytes a cycle."""

import cocotb

from rtl.isa import Cause, DataOp, Space
from verif.common.params import params
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


def rows(source, destination, count, length, src_pitch, dst_pitch, src_base=0, dst_base=0):
    return make(DataOp.COPY, source, destination, size=[length, count], src_stride=[1, src_pitch], dst_stride=[1, dst_pitch],
                src_base=src_base, dst_base=dst_base)


def dense(source, destination, total, src_base=0, dst_base=0):
    """A dense copy; of 64 KiB and more, in rows of 256 byte."""
    return rows(source, destination, total // 256 or 1, min(total, 256), 256, 256, src_base, dst_base)


def transpose(source, destination, lines, columns, element, src_pitch=None, src_base=0, dst_base=0):
    """lines x columns elements become columns x lines: dimension 0 is dense in the destination, dimension 1 in the source."""
    unit = 1 << element
    return make(DataOp.COPY, source, destination, size=[lines, columns], element=element, tile=1, src_base=src_base, dst_base=dst_base,
                src_stride=[src_pitch or columns * unit, unit], dst_stride=[unit, lines * unit])


def im2col(rows_out):
    """3 x 3 windows of a band of a 56 x 56 x 32 image: rows of (kw, channel) from L1, `rows_out` rows of windows, to L3."""
    width, channels = 56, 32
    return make(
        DataOp.SLICE, Space.L1, Space.L3, size=[3 * channels, 3, 1, width, rows_out], dst_stride=[1, 96, 0, 288, 288 * width],
        extent=[width * channels, rows_out + 1, 1, 0, 0], offset=[-channels, -1, 0, 0, 0], step=[1, 1, 1, channels, 1], share3=1, share4=2,
        src_stride=[1, width * channels, 0, 0, 0], fill=0x55,
    )


def moved(command):
    total = 1 << command["mode"]["element"]
    for d in range(5):
        total *= command[f"size{d}"]
    return total


@cocotb.test()
async def bandwidth(dut):
    """cp_rate: bytes a cycle from the first command's acceptance to the last `done`, on memories that are always ready, with 40 cycles to
    the first beat of a read and to the response of a write."""
    bench = await Bench.create(dut, "bandwidth", 60_000, stall=0, latency=(40, 40), l1_latency=2, window=(0, L3_BYTES))
    beat, half = bench.config.bus_bytes, bench.config.l1_bytes // 2
    l1, l3 = Space.L1, Space.L3
    cases = {
        # name: (commands, least share of the bus)
        "L3 to L1, 64 KiB": ([dense(l3, l1, 2 * half, src_base=i * 2 * half) for i in range(2)], 0.95),
        "L3 to L1, 4 KiB each": ([dense(l3, l1, 4096, src_base=i * 4096, dst_base=i % 8 * 4096) for i in range(12)], 0.95),
        "L1 to L3, 32 KiB": ([dense(l1, l3, half, dst_base=i * half) for i in range(2)], 0.93),
        "L3 to L1, 32 KiB, unaligned": ([dense(l3, l1, half - 256, i * half + 5, 9) for i in range(2)], 0.88),
        "L3 to L3, 8 KiB, unaligned": ([dense(l3, l3, half // 2, 3, 2 * half + 8)], 0.75),
        "L3 to L1, rows of 64 byte": ([rows(l3, l1, 256, 64, 256, 64)], 0.9),
        "L1 to L3, rows of 64 byte": ([rows(l1, l3, 128, 64, 64, 128)], 0.85),
        "L1 to L1, rows of 64 byte": ([rows(l1, l1, 64, 64, 128, 64, dst_base=half)], 0.8),
        "L3 to L1, rows of 8 byte": ([rows(l3, l1, 512, 8, 128, 8)], 0.22),
        "L1 to L1, 64 byte each": ([rows(l1, l1, 1, 64, 64, 64, i * 64, half + i * 64) for i in range(24)], 64 / 12 / beat),
        "L3 to L1, 64 byte each": ([rows(l3, l1, 1, 64, 64, 64, i * 64, half + i * 64) for i in range(24)], 0.25),
        "transpose 64 x 64 of 4 byte": ([transpose(l1, l1, 64, 64, 2, dst_base=half)] * 2, 0.95),
        "transpose 64 x 64 of 2 byte": ([transpose(l1, l1, 64, 64, 1, dst_base=half)] * 2, 0.9),
        "transpose 64 x 64 of 1 byte": ([transpose(l1, l1, 64, 64, 0, dst_base=half)] * 2, 0.8),
        "transpose L3 to L1, NCHW to NHWC, 32 x 56 x 16": ([transpose(l3, l1, 32, 896, 0, src_pitch=3136)] * 2, 0.8),
        "transpose L1 to L3, NHWC to NCHW, 32 x 56 x 16": ([transpose(l1, l3, 896, 32, 0)] * 2, 0.75),
        "im2col 3 x 3 of 56 x 4 x 32 to L3": ([im2col(3)], 0.9),
    }
    slow = []
    for name, (commands, share) in cases.items():
        if params().get("case", "") not in name:
            continue
        log = bench.watch()
        await bench.run(commands)
        await bench.settle()
        log.stop()
        total = sum(moved(command) for command in commands)
        rate = total / log.busy
        dut._log.info(
            f"bandwidth: {name}: {total} bytes in {log.busy} cycles, {rate:.2f} bytes a cycle, {100 * rate / beat:.1f} % of the bus, "
            f"{log.busy / len(commands):.1f} cycles a command"
        )
        if rate < share * beat:
            slow.append(f"{name}: {rate:.2f} bytes a cycle are less than {share:.2f} of {beat}")
    assert not slow, "; ".join(slow)
