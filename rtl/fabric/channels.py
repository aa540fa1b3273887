"""The five AXI channels as streams."""

from amaranth.lib import data

from rtl.bus.axi import Burst, Response

__all__ = [
    "accept_address", "accept_write", "address_layout", "offer_address", "offer_write", "read_layout", "response_layout",
    "return_read", "return_response", "take_read", "take_response", "write_layout",
]


def address_layout(address_bits: int, id_bits: int) -> data.StructLayout:
    """AR or AW of a fabric burst: INCR and full width always."""
    return data.StructLayout({"id": id_bits, "address": address_bits, "len": 8})


def read_layout(data_bytes: int, id_bits: int) -> data.StructLayout:
    return data.StructLayout({"id": id_bits, "data": 8 * data_bytes, "resp": Response, "last": 1})


def write_layout(data_bytes: int) -> data.StructLayout:
    return data.StructLayout({"data": 8 * data_bytes, "strobe": data_bytes, "last": 1})


def response_layout(id_bits: int) -> data.StructLayout:
    return data.StructLayout({"id": id_bits, "resp": Response})


# Statements between the channels of an AXI port and streams. `accept`, `return`: the port is a slave's; `offer`, `take`: a master's.


def accept_address(port, channel: str, stream) -> list:
    """AR ("ar") or AW ("aw") of a slave port into a stream of :func:`address_layout`."""
    return [
        stream.payload.id.eq(getattr(port, f"{channel}id")), stream.payload.address.eq(getattr(port, f"{channel}addr")),
        stream.payload.len.eq(getattr(port, f"{channel}len")),
        stream.valid.eq(getattr(port, f"{channel}valid")), getattr(port, f"{channel}ready").eq(stream.ready),
    ]


def offer_address(stream, port, channel: str) -> list:
    size = (port.signature.data_bytes - 1).bit_length()
    return [
        getattr(port, f"{channel}id").eq(stream.payload.id), getattr(port, f"{channel}addr").eq(stream.payload.address),
        getattr(port, f"{channel}len").eq(stream.payload.len), getattr(port, f"{channel}size").eq(size),
        getattr(port, f"{channel}burst").eq(Burst.INCR),
        getattr(port, f"{channel}valid").eq(stream.valid), stream.ready.eq(getattr(port, f"{channel}ready")),
    ]


def return_read(stream, port) -> list:
    return [
        port.rid.eq(stream.payload.id), port.rdata.eq(stream.payload.data), port.rresp.eq(stream.payload.resp),
        port.rlast.eq(stream.payload.last), port.rvalid.eq(stream.valid), stream.ready.eq(port.rready),
    ]


def take_read(port, stream) -> list:
    return [
        stream.payload.id.eq(port.rid), stream.payload.data.eq(port.rdata), stream.payload.resp.eq(port.rresp),
        stream.payload.last.eq(port.rlast), stream.valid.eq(port.rvalid), port.rready.eq(stream.ready),
    ]


def accept_write(port, stream) -> list:
    return [
        stream.payload.data.eq(port.wdata), stream.payload.strobe.eq(port.wstrb), stream.payload.last.eq(port.wlast),
        stream.valid.eq(port.wvalid), port.wready.eq(stream.ready),
    ]


def offer_write(stream, port) -> list:
    return [
        port.wdata.eq(stream.payload.data), port.wstrb.eq(stream.payload.strobe), port.wlast.eq(stream.payload.last),
        port.wvalid.eq(stream.valid), stream.ready.eq(port.wready),
    ]


def return_response(stream, port) -> list:
    return [
        port.bid.eq(stream.payload.id), port.bresp.eq(stream.payload.resp), port.bvalid.eq(stream.valid), stream.ready.eq(port.bready),
    ]


def take_response(port, stream) -> list:
    return [
        stream.payload.id.eq(port.bid), stream.payload.resp.eq(port.bresp), stream.valid.eq(port.bvalid), port.bready.eq(stream.ready),
    ]
