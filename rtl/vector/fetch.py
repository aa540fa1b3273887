"""Reads of L1 in order, with room for every answer."""

from amaranth import Module, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo, StreamRegister
from rtl.l1.port import L1Read

__all__ = ["Fetch"]


class Fetch(wiring.Component):
    """Sends requests to an L1 port and offers the answers, each with the tag of its request, in order.

    Parameters
    ----------
    port : signature of the L1 port
    tag : shape of the tag
    depth : reads in flight or waiting to be taken; 16 cover the port's latency and some waiting for banks

    Members
    -------
    request : {address, size (bytes), tag}; taken while there is room for the answer
    data : {data, tag}; bytes beyond the request's size are undefined
    """

    def __init__(self, port: L1Read, tag: ShapeLike, depth: int = 16):
        self.port, self.tag, self.depth = port, tag, depth
        super().__init__({
            "request": In(stream.Signature(data.StructLayout({
                "address": port.address_bits, "size": port.width.bit_length(), "tag": tag,
            }))),
            "l1": Out(port),
            "data": Out(stream.Signature(data.StructLayout({"data": 8 * port.width, "tag": tag}))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.requests = requests = StreamRegister(self.port.request_shape)
        m.submodules.tags = tags = StreamFifo(self.tag, self.depth)
        m.submodules.answers = answers = StreamFifo(8 * self.port.width, self.depth)

        room = Signal(range(self.depth + 1), init=self.depth)
        put = self.request.valid & self.request.ready
        get = self.data.valid & self.data.ready
        m.d.sync += room.eq(room - put + get)
        m.d.comb += [
            self.request.ready.eq(room.any() & requests.input.ready),
            requests.input.valid.eq(self.request.valid & room.any()),
            requests.input.payload.address.eq(self.request.payload.address),
            requests.input.payload.size.eq(self.request.payload.size),
            tags.input.valid.eq(put), tags.input.payload.eq(self.request.payload.tag),
            self.l1.request.valid.eq(requests.output.valid), self.l1.request.payload.eq(requests.output.payload),
            requests.output.ready.eq(self.l1.request.ready),

            answers.input.valid.eq(self.l1.response.valid), answers.input.payload.eq(self.l1.response.data),
            self.data.valid.eq(answers.output.valid & tags.output.valid),
            self.data.payload.data.eq(answers.output.payload), self.data.payload.tag.eq(tags.output.payload),
            answers.output.ready.eq(get), tags.output.ready.eq(get),
        ]
        return m
