"""Answers the bursts that belong to no slave."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Response
from rtl.fabric.channels import address_layout, read_layout, response_layout, write_layout
from rtl.fabric.map import LOCAL_ADDRESS_BITS

__all__ = ["Refusal"]


class Refusal(wiring.Component):
    """A slave that ends every burst with DECERR: reads with the right number of zero beats, writes after their last beat.

    Members
    -------
    ar, r, aw, w, b
        As of any slave of the fabric; one burst at a time in each direction, one beat a cycle.
    """

    def __init__(self, data_bytes: int, id_bits: int):
        super().__init__({
            "ar": In(stream.Signature(address_layout(LOCAL_ADDRESS_BITS, id_bits))),
            "r": Out(stream.Signature(read_layout(data_bytes, id_bits))),
            "aw": In(stream.Signature(address_layout(LOCAL_ADDRESS_BITS, id_bits))),
            "w": In(stream.Signature(write_layout(data_bytes))),
            "b": Out(stream.Signature(response_layout(id_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        left = Signal(8)
        m.d.comb += [
            self.ar.ready.eq(~self.r.valid),
            self.r.payload.resp.eq(Response.DECERR), self.r.payload.last.eq(left == 0),
        ]
        with m.If(self.ar.ready & self.ar.valid):
            m.d.sync += [self.r.valid.eq(1), self.r.payload.id.eq(self.ar.payload.id), left.eq(self.ar.payload.len)]
        with m.Elif(self.r.valid & self.r.ready):
            m.d.sync += [left.eq(left - 1), self.r.valid.eq(~self.r.payload.last)]

        swallowing = Signal()
        m.d.comb += [
            self.aw.ready.eq(~swallowing & ~self.b.valid), self.w.ready.eq(swallowing), self.b.payload.resp.eq(Response.DECERR),
        ]
        with m.If(self.aw.ready & self.aw.valid):
            m.d.sync += [swallowing.eq(1), self.b.payload.id.eq(self.aw.payload.id)]
        with m.Elif(self.w.ready & self.w.valid & self.w.payload.last):
            m.d.sync += [swallowing.eq(0), self.b.valid.eq(1)]
        with m.Elif(self.b.valid & self.b.ready):
            m.d.sync += self.b.valid.eq(0)
        return m
