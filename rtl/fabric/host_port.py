"""The host's way into the fabric: full AXI4 on one side, bursts of one chunk on the other."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS, Response
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.config import ChipConfig
from rtl.fabric.channels import (
    accept_write,
    address_layout,
    offer_address,
    offer_write,
    read_layout,
    response_layout,
    return_read,
    return_response,
    take_read,
    take_response,
    write_layout,
)
from rtl.fabric.fabric import HOST_ID_BITS
from rtl.fabric.splitter import Splitter

__all__ = ["HostPort"]


class HostPort(wiring.Component):
    """AXI4 slave for INCR, WRAP and FIXED bursts of any size up to the bus and up to 256 beats, with any alignment and any IDs.

    Responses come in the order of the requests, whatever their IDs. The response of a write is the worst of its parts (DECERR, SLVERR,
    OKAY); a read's beats have their own.

    Members
    -------
    host
        The host's side; the address is the fabric's: bit 32 selects L2.
    fabric
        The `host` master of :class:`rtl.fabric.fabric.Fabric`.

    Full-width INCR bursts run at one beat a cycle, others too as far as the fabric takes a burst per cycle. All channels are registered
    at both sides: four cycles to the fabric's AR, AW and W, one back on R, two on B.
    """

    def __init__(self, config: ChipConfig, *, id_bits: int = HOST_ID_BITS):
        self.config = config
        self.id_bits = id_bits
        signature = AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, id_bits)
        super().__init__({"host": In(signature), "fabric": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        # Parts in flight: what the fabric takes, and what lies in the registers on the way.
        self._depth = self.config.outstanding + 4
        self._reads(m)
        self._writes(m)
        return m

    def _split(self, m: Module, channel: str, *followers: StreamFifo):
        """Host bursts of `channel` as parts on the fabric, each announced to all `followers` when it goes. Returns the part."""
        host = self.host
        m.submodules[f"{channel}_split"] = split = Splitter(self.config.bus_bytes, self.id_bits)
        m.submodules[f"{channel}_register"] = register = StreamRegister(address_layout(FABRIC_ADDRESS_BITS, self.id_bits))
        m.d.comb += [
            split.burst.payload.id.eq(getattr(host, f"{channel}id")), split.burst.payload.address.eq(getattr(host, f"{channel}addr")),
            split.burst.payload.len.eq(getattr(host, f"{channel}len")), split.burst.payload.size.eq(getattr(host, f"{channel}size")),
            split.burst.payload.burst.eq(getattr(host, f"{channel}burst")),
            split.burst.valid.eq(getattr(host, f"{channel}valid")), getattr(host, f"{channel}ready").eq(split.burst.ready),
        ]
        part = split.part
        room = register.input.ready
        for follower in followers:
            room = room & follower.input.ready
        m.d.comb += [
            part.ready.eq(room),
            register.input.valid.eq(part.valid & room),
            *(register.input.payload[name].eq(part.payload[name]) for name in ("id", "address", "len")),
            *(follower.input.valid.eq(part.valid & room) for follower in followers),
            *offer_address(register.output, self.fabric, channel),
        ]
        return part.payload

    def _reads(self, m: Module):
        m.submodules.read_final = final = StreamFifo(1, self._depth)
        m.submodules.r = r = StreamRegister(read_layout(self.config.bus_bytes, self.id_bits))
        part = self._split(m, "ar", final)
        m.d.comb += [
            final.input.payload.eq(part.final),
            *take_read(self.fabric, r.input), *return_read(r.output, self.host),
            # Part by part in order: the end of a part is the end of its burst if it is the final one.
            r.input.payload.last.eq(self.fabric.rlast & final.output.payload),
            final.output.ready.eq(r.input.valid & r.input.ready & self.fabric.rlast),
        ]

    def _writes(self, m: Module):
        m.submodules.write_final = final = StreamFifo(1, self._depth)
        m.submodules.write_length = length = StreamFifo(8, self._depth)
        part = self._split(m, "aw", final, length)
        m.d.comb += [final.input.payload.eq(part.final), length.input.payload.eq(part.len)]

        # Data: the host's beats, with `last` at the end of each part.
        m.submodules.w_host = arrived = StreamRegister(write_layout(self.config.bus_bytes))
        m.submodules.w = w = StreamRegister(write_layout(self.config.bus_bytes))
        beat = Signal(8)
        last = beat == length.output.payload
        goes = w.input.valid & w.input.ready
        m.d.comb += [
            *accept_write(self.host, arrived.input), *offer_write(w.output, self.fabric),
            w.input.valid.eq(arrived.output.valid & length.output.valid),
            arrived.output.ready.eq(w.input.ready & length.output.valid),
            w.input.payload.data.eq(arrived.output.payload.data), w.input.payload.strobe.eq(arrived.output.payload.strobe),
            w.input.payload.last.eq(last),
            length.output.ready.eq(goes & last),
        ]
        with m.If(goes):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))

        # Responses: the worst so far; the codes are in the order of their weight.
        m.submodules.b_fabric = result = StreamRegister(response_layout(self.id_bits))
        m.submodules.b = b = StreamRegister(response_layout(self.id_bits))
        worst, total = Signal(Response), Signal(Response)
        part_result = result.output.payload.resp
        is_final = final.output.payload
        m.d.comb += [
            *take_response(self.fabric, result.input), *return_response(b.output, self.host),
            total.eq(Mux(part_result.as_value() > worst.as_value(), part_result.as_value(), worst.as_value())),
            b.input.valid.eq(result.output.valid & final.output.valid & is_final),
            b.input.payload.id.eq(result.output.payload.id), b.input.payload.resp.eq(total),
            result.output.ready.eq(final.output.valid & (~is_final | b.input.ready)),
            final.output.ready.eq(result.output.valid & (~is_final | b.input.ready)),
        ]
        with m.If(result.output.valid & result.output.ready):
            m.d.sync += worst.eq(Mux(is_final, 0, total.as_value()))
        return m
