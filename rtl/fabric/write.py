"""The write half of the crossbar: one `WriteMaster` per master, one `WriteSlave` per slave.

A slave takes write data in the order in which it granted the bursts. A master's bursts are granted in its own order, and a burst enters
its slave's order in the cycle of its grant. So every burst waits only for bursts that were granted earlier, and no ring of waits can close.
"""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import FABRIC_ADDRESS_BITS, Response
from rtl.common.once import EmitOnce
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.common.turns import RoundRobin
from rtl.config import ChipConfig
from rtl.fabric.channels import address_layout, response_layout, write_layout
from rtl.fabric.map import LOCAL_ADDRESS_BITS, decode, slaves

__all__ = ["WriteMaster", "WriteSlave", "data_layout", "request_layout", "result_layout"]


def request_layout(config: ChipConfig) -> data.StructLayout:
    """A decoded burst on its way to the one slave of `target`."""
    return data.StructLayout({"target": slaves(config), "address": LOCAL_ADDRESS_BITS, "len": 8})


def data_layout(config: ChipConfig) -> data.StructLayout:
    """A data beat on its way to the one slave of `target`."""
    return data.StructLayout({"target": slaves(config), "beat": write_layout(config.bus_bytes)})


def result_layout() -> data.StructLayout:
    """A slave's answer for a master; there is always room for it."""
    return data.StructLayout({"valid": 1, "resp": Response})


class WriteMaster(EmitOnce):
    """One master's side: decodes its bursts, sends data after them, and returns the responses in the order of the requests.

    Members
    -------
    aw, w, b
        The master's channels, with fabric addresses.
    request, data
        To the slaves. At most `config.outstanding` bursts wait for their response.
    result
        From each slave.

    One burst and one beat a cycle.
    """

    def __init__(self, config: ChipConfig, id_bits: int):
        self.config = config
        self.id_bits = id_bits
        super().__init__({
            "aw": In(stream.Signature(address_layout(FABRIC_ADDRESS_BITS, id_bits))),
            "w": In(stream.Signature(write_layout(config.bus_bytes))),
            "b": Out(stream.Signature(response_layout(id_bits))),
            "request": Out(stream.Signature(request_layout(config))),
            "data": Out(stream.Signature(data_layout(config))),
            "result": In(result_layout()).array(slaves(config)),
        })

    @property
    def key(self) -> tuple:
        config = self.config
        return (
            config.channels, config.l3_bytes, config.l2_ports, config.l2_bytes, config.bus_bytes, config.outstanding, self.id_bits,
        )

    def build(self, platform):
        m = Module()
        depth, targets = self.config.outstanding, slaves(self.config)
        m.submodules.decoded = decoded = StreamRegister(
            data.StructLayout({"id": self.id_bits, "target": targets, "address": LOCAL_ADDRESS_BITS, "len": 8})
        )
        m.submodules.route = route = StreamFifo(targets, depth)
        m.submodules.order = order = StreamFifo(data.StructLayout({"id": self.id_bits, "target": targets}), depth)
        target, local = decode(self.config, self.aw.payload.address)
        waiting = decoded.output
        room = route.input.ready & order.input.ready
        issued = self.request.valid & self.request.ready
        m.d.comb += [
            decoded.input.valid.eq(self.aw.valid), self.aw.ready.eq(decoded.input.ready),
            decoded.input.payload.id.eq(self.aw.payload.id), decoded.input.payload.len.eq(self.aw.payload.len),
            decoded.input.payload.target.eq(target), decoded.input.payload.address.eq(local),
            self.request.valid.eq(waiting.valid & room), waiting.ready.eq(self.request.ready & room),
            *(self.request.payload[name].eq(waiting.payload[name]) for name in ("target", "address", "len")),
            route.input.valid.eq(issued), route.input.payload.eq(waiting.payload.target),
            order.input.valid.eq(issued), order.input.payload.target.eq(waiting.payload.target),
            order.input.payload.id.eq(waiting.payload.id),
        ]

        m.submodules.beat = beat = StreamRegister(write_layout(self.config.bus_bytes))
        m.d.comb += [
            beat.input.valid.eq(self.w.valid), beat.input.payload.eq(self.w.payload), self.w.ready.eq(beat.input.ready),
            self.data.valid.eq(beat.output.valid & route.output.valid), self.data.payload.beat.eq(beat.output.payload),
            self.data.payload.target.eq(route.output.payload),
            beat.output.ready.eq(self.data.ready & route.output.valid),
            route.output.ready.eq(self.data.valid & self.data.ready & beat.output.payload.last),
        ]

        # Responses wait per slave: each slave answers one master's bursts in order.
        m.submodules.out = out = StreamRegister(response_layout(self.id_bits))
        answered, worst = Signal(), Signal(Response)
        for number, result in enumerate(self.result):
            m.submodules[f"results_{number}"] = results = StreamFifo(Response, depth)
            chosen = order.output.valid & order.output.payload.target[number]
            m.d.comb += [
                results.input.valid.eq(result.valid), results.input.payload.eq(result.resp),
                results.output.ready.eq(chosen & out.input.ready),
            ]
            with m.If(chosen):
                m.d.comb += [answered.eq(results.output.valid), worst.eq(results.output.payload)]
        m.d.comb += [
            out.input.valid.eq(answered), out.input.payload.id.eq(order.output.payload.id), out.input.payload.resp.eq(worst),
            order.output.ready.eq(answered & out.input.ready),
            self.b.valid.eq(out.output.valid), self.b.payload.eq(out.output.payload), out.output.ready.eq(self.b.ready),
        ]
        return m


class WriteSlave(EmitOnce):
    """One slave's side: takes turns among the masters, and takes data in the order of the grants.

    Members
    -------
    request, data
        From each master; `target` has been looked at already.
    aw, w, b
        The slave's channels. All bursts of a master have the same ID, its number above `slot_bits` zeros, so they stay in order.
    result
        To each master.
    """

    def __init__(self, config: ChipConfig, masters: int, id_bits: int, master_lsb: int):
        self.config = config
        self.masters = masters
        self.id_bits = id_bits
        self.master_lsb = master_lsb
        super().__init__({
            "request": In(stream.Signature(request_layout(config))).array(masters),
            "data": In(stream.Signature(data_layout(config))).array(masters),
            "aw": Out(stream.Signature(address_layout(LOCAL_ADDRESS_BITS, id_bits))),
            "w": Out(stream.Signature(write_layout(config.bus_bytes))),
            "b": In(stream.Signature(response_layout(id_bits))),
            "result": Out(result_layout()).array(masters),
        })

    @property
    def key(self) -> tuple:
        return (self.config.bus_bytes, self.config.outstanding, slaves(self.config), self.masters, self.id_bits, self.master_lsb)

    def build(self, platform):
        m = Module()
        m.submodules.choice = choice = RoundRobin(self.masters)
        m.submodules.address = address = StreamRegister(self.aw.payload.shape())
        m.submodules.order = order = StreamFifo(self.masters, self.config.outstanding)
        room = address.input.ready & order.input.ready
        m.d.comb += [
            choice.request.eq(Cat(request.valid for request in self.request)),
            choice.taken.eq(choice.grant.any() & room),
            address.input.valid.eq(choice.taken), order.input.valid.eq(choice.taken), order.input.payload.eq(choice.grant),
            self.aw.valid.eq(address.output.valid), self.aw.payload.eq(address.output.payload), address.output.ready.eq(self.aw.ready),
        ]
        for number, request in enumerate(self.request):
            m.d.comb += request.ready.eq(choice.grant[number] & room)
            with m.If(choice.grant[number]):
                m.d.comb += [
                    address.input.payload.id.eq(number << self.master_lsb),
                    address.input.payload.address.eq(request.payload.address), address.input.payload.len.eq(request.payload.len),
                ]

        m.submodules.beat = beat = StreamRegister(write_layout(self.config.bus_bytes))
        m.d.comb += [
            self.w.valid.eq(beat.output.valid), self.w.payload.eq(beat.output.payload), beat.output.ready.eq(self.w.ready),
            order.output.ready.eq(beat.input.valid & beat.input.ready & beat.input.payload.last),
        ]
        for number, offer in enumerate(self.data):
            turn = order.output.valid & order.output.payload[number]
            m.d.comb += offer.ready.eq(turn & beat.input.ready)
            with m.If(turn):
                m.d.comb += [beat.input.valid.eq(offer.valid), beat.input.payload.eq(offer.payload.beat)]

        m.submodules.response = response = StreamRegister(self.b.payload.shape())
        m.d.comb += [
            response.input.valid.eq(self.b.valid), response.input.payload.eq(self.b.payload), self.b.ready.eq(response.input.ready),
            response.output.ready.eq(1),
        ]
        master = response.output.payload.id[self.master_lsb :]
        for number, result in enumerate(self.result):
            m.d.comb += [result.valid.eq(response.output.valid & (master == number)), result.resp.eq(response.output.payload.resp)]
        return m
