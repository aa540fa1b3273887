"""An AXI4 port of a memory controller."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.memory.interface import MAX_PORTS, Source, returned
from rtl.memory.port.burst import BurstCheck
from rtl.memory.port.layouts import OFFSET_BITS, burst_layout, read_offer, write_offer
from rtl.memory.port.read_side import ReadSide
from rtl.memory.port.write_side import WriteSide

__all__ = ["MemoryPort"]


class MemoryPort(wiring.Component):
    """An AXI4 slave: bursts of beats on one side, atoms on the other. See `docs/memory_ports.md`.

    Parameters
    ----------
    config
        Width of the bus, size of the channel, slots of the return buffer.
    number
        0 to 3; it is the source in the tags.
    id_bits
        Width of the AXI identifiers, from 1.
    interleave
        Beats of two read bursts with different identifiers may alternate, atom by atom. Without it a burst that lacks its next atom holds
        up the others.

    Members
    -------
    axi
        Byte addresses within the channel. All outputs come from registers but the data of R, which come from an SRAM.
    reads, writes
        To the arbiter. What it has taken is ordered, so that a write's response may go.
    returned
        Each valid clock is an atom: valid in the clocks of the memory side's enable only.
    refused
        Bit 0: a read was refused in this clock, bit 1: a write.

    Every clock is a step. From AR to `reads` two clocks, from `returned` to R two.
    """

    def __init__(self, config: ChipConfig, number: int, id_bits: int, *, interleave: bool = True):
        if not 0 <= number < MAX_PORTS:
            raise ValueError(f"a memory controller has ports 0 to {MAX_PORTS - 1}, not {number}")
        if id_bits < 1:
            raise ValueError(f"identifiers of a memory port have 1 bit or more, not {id_bits}")
        self.config, self.number, self.id_bits, self.interleave = config, number, id_bits, interleave
        self.atom_bits = (config.channel_bytes - 1).bit_length() - OFFSET_BITS
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, id_bits, quality=True)),
            "reads": Out(stream.Signature(read_offer(self.atom_bits))), "writes": Out(stream.Signature(write_offer(self.atom_bits))),
            "returned": In(returned()), "refused": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        axi, bus_bytes, id_bits = self.axi, self.config.bus_bytes, self.id_bits
        m.submodules.read = read = ReadSide(
            bus_bytes, self.atom_bits, id_bits, self.config.return_slots, Source(self.number), interleave=self.interleave
        )
        m.submodules.write = write = WriteSide(bus_bytes, self.atom_bits, id_bits)
        m.submodules.read_bursts = read_bursts = StreamRegister(burst_layout(self.atom_bits, id_bits))
        for channel, bursts in (("ar", read_bursts.input), ("aw", write.bursts)):
            m.submodules[f"{channel}_check"] = check = BurstCheck(self.config.channel_bytes, bus_bytes, id_bits)
            names = {"addr": "address", "len": "length", "size": "size", "burst": "burst", "id": "id", "qos": "qos"}
            m.d.comb += [
                *(getattr(check, member).eq(getattr(axi, channel + part)) for part, member in names.items()),
                bursts.payload.eq(check.checked), bursts.valid.eq(getattr(axi, f"{channel}valid")),
                getattr(axi, f"{channel}ready").eq(bursts.ready),
            ]
        wiring.connect(m, read_bursts.output, read.bursts)
        wiring.connect(m, read.offers, wiring.flipped(self.reads))
        wiring.connect(m, write.offers, wiring.flipped(self.writes))
        beat, data, answer = read.beats, write.beats, write.responses
        m.d.comb += [
            read.returned.eq(self.returned), self.refused.eq(read.refused | (write.refused << 1)),
            axi.rvalid.eq(beat.valid), beat.ready.eq(axi.rready), axi.rid.eq(beat.payload.id), axi.rdata.eq(beat.payload.data),
            axi.rresp.eq(beat.payload.response), axi.rlast.eq(beat.payload.last),
            data.valid.eq(axi.wvalid), axi.wready.eq(data.ready), data.payload.data.eq(axi.wdata),
            data.payload.strobe.eq(axi.wstrb), data.payload.last.eq(axi.wlast),
            axi.bvalid.eq(answer.valid), answer.ready.eq(axi.bready), axi.bid.eq(answer.payload.id), axi.bresp.eq(answer.payload.response),
        ]
        return m
