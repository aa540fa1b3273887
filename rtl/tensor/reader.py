"""Reads through an L1 port: as many requests in flight as there is room for their responses."""

from amaranth import Module, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo
from rtl.l1.port import L1Read

__all__ = ["Reader"]


class Reader(wiring.Component):
    """Turns accesses into items of data, in order, one a cycle. Each access carries a note that comes out with its data.

    Parameters
    ----------
    port
        Signature of the L1 port.
    note
        Shape of the note.
    depth
        Accesses from request to item; the round trip in cycles (some 8 with an L1 without conflicts) gives full rate.
    sized
        Items also have the `size` of their access.

    Members
    -------
    access
        {address, size, note}; `ready` does not depend on `valid`.
    port
        The L1 port; requests come from registers.
    item
        {data, note} or {data, note, size}, from FIFOs. Bytes of `data` from `size` up are undefined.
    """

    def __init__(self, port: L1Read, note: ShapeLike, depth: int, *, sized: bool = False):
        self.depth = depth
        kept = {"note": note} | ({"size": port.request_shape["size"].shape} if sized else {})
        self._kept = data.StructLayout(kept)
        super().__init__({
            "access": In(stream.Signature(data.StructLayout({**dict(port.request_shape.members), "note": note}))),
            "port": Out(port),
            "item": Out(stream.Signature(data.StructLayout({"data": 8 * port.width, **kept}))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.notes = notes = StreamFifo(self._kept, self.depth)
        m.submodules.responses = responses = StreamFifo(len(self.port.response.data), self.depth)
        request, access, item = self.port.request, self.access, self.item

        # Room is reserved when a request is made, so that neither FIFO is ever full when it is written.
        room = Signal(range(self.depth + 1), init=self.depth)
        take, leave = Signal(), Signal()
        m.d.comb += [
            access.ready.eq((request.ready | ~request.valid) & room.any()),
            take.eq(access.valid & access.ready),
            leave.eq(item.valid & item.ready),
            *(notes.input.payload[name].eq(access.payload[name]) for name, _ in self._kept), notes.input.valid.eq(take),
            responses.input.payload.eq(self.port.response.data), responses.input.valid.eq(self.port.response.valid),
        ]  # fmt: skip
        m.d.sync += room.eq(room + leave - take)
        with m.If(request.ready | ~request.valid):
            m.d.sync += request.valid.eq(take)
        with m.If(take):
            m.d.sync += [request.payload.address.eq(access.payload.address), request.payload.size.eq(access.payload.size)]

        # A response comes two cycles or more after its note, so the note is always there first.
        m.d.comb += [
            item.payload.data.eq(responses.output.payload), *(item.payload[name].eq(notes.output.payload[name]) for name, _ in self._kept),
            item.valid.eq(responses.output.valid), responses.output.ready.eq(item.ready), notes.output.ready.eq(leave),
        ]  # fmt: skip
        return m
