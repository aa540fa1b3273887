"""The L1 scratchpad of one SIP: banked single-port SRAM behind nine ports of any byte address."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from rtl.common.sram import Sram
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.l1.arbiter import Arbiter
from rtl.l1.decode import Decode, Geometry
from rtl.l1.port import L1Read, l1_ports
from rtl.l1.rotate import Gather, Scatter

__all__ = ["L1"]


def _or(values: list[Value]) -> Value:
    return reduce(or_, values)


class L1(wiring.Component):
    """L1 scratchpad.

    An access claims the banks that its bytes lie in (`size` bytes of a read, the strobed bytes of a write) and is granted whole or
    not at all, in order per port. Its request waits `Arbiter.PATIENCE` cycles and a few more at most.

    Members
    -------
    tensor_a, tensor_b, tensor_c, tensor_d, vector_x, vector_y, vector_z, data_read, data_write
        See :func:`rtl.l1.port.l1_ports`; each is the responder's side.

    Timing: without conflicts a request is granted in the cycle after it was taken. A read's response is on the port 3 cycles after
    the grant, a write's `written` 1 cycle after it: the SRAMs take accesses in the order of their grants, so whatever is granted later sees
    the bytes. Every port takes one request a cycle.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        self.geometry = Geometry.of(config)
        super().__init__({name: In(signature) for name, signature in l1_ports(config).items()})

    def elaborate(self, platform):
        m = Module()
        geometry = self.geometry
        signatures = l1_ports(self.config)
        m.submodules.arbiter = arbiter = Arbiter(len(signatures), geometry.banks)

        routes, read_places, lines, strobes = [], {}, [], []
        for number, (name, signature) in enumerate(signatures.items()):
            port, grant = getattr(self, name), arbiter.grant[number]
            is_read = isinstance(signature, L1Read)
            request = self._accept(m, name, port.request, signature, is_read)
            route = request.payload.route
            m.d.comb += [arbiter.valid[number].eq(request.valid), arbiter.claim[number].eq(route.claim), request.ready.eq(grant)]
            routes.append((grant, route))
            if is_read:
                read_places[name] = (grant, route.place)
            else:
                line, write = self._write(m, name, port, request.payload, grant, signature.width)
                lines.append(line)
                strobes.append(write)

        line, write = Signal(len(lines[0])), Signal(len(strobes[0]))
        m.d.comb += [line.eq(_or(lines)), write.eq(_or(strobes))]
        words = self._banks(m, routes, line, write)
        for name, (grant, place) in read_places.items():
            self._respond(m, name, getattr(self, name), grant, place, words, signatures[name].width)
        return m

    def _accept(self, m: Module, name: str, request, signature, is_read: bool):
        """Decodes a request in front of its boundary register, so that the arbiter starts from registers. Returns the stream."""
        geometry, width = self.geometry, signature.width
        fields = {} if is_read else {"data": 8 * width, "strobe": width}
        decode = Decode(geometry, width)
        register = StreamRegister(data.StructLayout({"route": geometry.route_shape(width), **fields}))
        m.submodules[f"{name}_decode"] = decode
        m.submodules[f"{name}_request"] = register
        payload = request.payload
        m.d.comb += [
            decode.address.eq(payload.address),
            decode.touched.eq(Cat(payload.size > i for i in range(width)) if is_read else payload.strobe),
            register.input.valid.eq(request.valid),
            request.ready.eq(register.input.ready),
            *(register.input.payload.route[name].eq(getattr(decode, name)) for name, _ in geometry.route_shape(width)),
            *(register.input.payload[field].eq(payload[field]) for field in fields),
        ]
        return register.output

    def _banks(self, m: Module, routes: list, line: Value, write: Value) -> Value:
        """The SRAMs behind registers for enable and row. Returns the words that they have read, bank 0 lowest."""
        geometry = self.geometry
        bits = 8 * geometry.bank_bytes
        taken = [Signal(geometry.banks, name=f"taken_{number}") for number in range(len(routes))]
        m.d.comb += [mask.eq(route.claim & grant.replicate(geometry.banks)) for mask, (grant, route) in zip(taken, routes, strict=True)]
        enable = Signal(geometry.banks)
        m.d.sync += enable.eq(_or(taken))
        words = []
        for bank in range(geometry.banks):
            sram = Sram(geometry.rows, bits, granularity=8)
            m.submodules[f"bank_{bank}"] = sram
            row = Signal(geometry.row_bits, name=f"row_{bank}")
            m.d.sync += row.eq(_or([
                Mux(mask[bank], Mux(route.next[bank], route.next_row, route.row), 0) for mask, (_, route) in zip(taken, routes, strict=True)
            ]))
            m.d.comb += [
                sram.enable.eq(enable[bank]),
                sram.address.eq(row),
                sram.write.eq(write.word_select(bank, geometry.bank_bytes)),
                sram.write_data.eq(line.word_select(bank, bits)),
            ]
            words.append(sram.read_data)
        return Cat(words)

    def _write(self, m: Module, name: str, port, payload, grant: Value, width: int) -> tuple[Value, Value]:
        """The bytes of a granted write, spread over the banks in the cycle after its grant."""
        scatter = Scatter(self.geometry, width)
        m.submodules[f"{name}_scatter"] = scatter
        strobe, held, place = (
            Signal(width, name=f"{name}_strobe"), Signal(8 * width, name=f"{name}_data"),
            Signal(self.geometry.place_shape(width), name=f"{name}_place"),
        )
        m.d.sync += [strobe.eq(payload.strobe & grant.replicate(width)), port.written.eq(grant)]
        with m.If(grant):
            m.d.sync += [held.eq(payload.data), place.eq(payload.route.place)]
        m.d.comb += [scatter.data.eq(held), scatter.strobe.eq(strobe), scatter.place.eq(place)]
        return scatter.banks, scatter.write

    def _respond(self, m: Module, name: str, port, grant: Value, place: Value, words: Value, width: int):
        """The response: one cycle to the banks' registers, one through the SRAM, one through the network."""
        gather = Gather(self.geometry, width)
        m.submodules[f"{name}_gather"] = gather
        shape = data.StructLayout({"valid": 1, "place": self.geometry.place_shape(width)})
        access, read = Signal(shape, name=f"{name}_access"), Signal(shape, name=f"{name}_read")
        m.d.sync += [
            access.valid.eq(grant), access.place.eq(place), read.eq(access),
            port.response.valid.eq(read.valid),
        ]
        m.d.comb += [gather.banks.eq(words), gather.place.eq(read.place)]
        with m.If(read.valid):
            m.d.sync += port.response.data.eq(gather.data)
