"""The read half of the crossbar: one `ReadMaster` per master, one `ReadSlave` per slave.

A slave may answer bursts out of order, and bursts of one master may wait for different slaves. A crossbar that made a slave wait for
its turn at a master would lock up as soon as two slaves waited for each other's. So each master owns a slot of one chunk for
every burst in flight, and beats are always taken. The slot is part of the ID that the slave sees.
"""

from amaranth import Array, Cat, Const, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES, FABRIC_ADDRESS_BITS, Response
from rtl.common.once import EmitOnce
from rtl.common.sram import SramDual
from rtl.common.stream import StreamRegister
from rtl.common.turns import RoundRobin
from rtl.config import ChipConfig
from rtl.fabric.channels import address_layout, read_layout
from rtl.fabric.map import LOCAL_ADDRESS_BITS, decode, slaves

__all__ = ["ReadMaster", "ReadSlave", "beat_layout", "request_layout", "slot_bits"]


def slot_bits(config: ChipConfig) -> int:
    """Width of a slot number."""
    return max((config.outstanding - 1).bit_length(), 1)


def request_layout(config: ChipConfig) -> data.StructLayout:
    """A decoded burst on its way to the one slave of `target`."""
    return data.StructLayout({"target": slaves(config), "slot": slot_bits(config), "address": LOCAL_ADDRESS_BITS, "len": 8})


def beat_layout(config: ChipConfig) -> data.StructLayout:
    """A beat on its way back into `slot`."""
    return data.StructLayout({"slot": slot_bits(config), "data": 8 * config.bus_bytes, "resp": Response, "last": 1})


class ReadMaster(EmitOnce):
    """One master's side: decodes its bursts, and returns their data in the order of the requests.

    Parameters
    ----------
    id_bits
        Width of the master's own IDs, which come back with the data.
    depth
        Bursts in flight, with a chunk's room for each; at most `config.outstanding`.

    Members
    -------
    ar, r
        The master's channels, with fabric addresses.
    request
        To the slaves.
    beat
        From each slave; one beat a cycle is taken, whoever it is for.

    One beat a cycle; three cycles from `beat` to `r`, one from `ar` to `request`.
    """

    def __init__(self, config: ChipConfig, id_bits: int, depth: int):
        self.config = config
        self.id_bits = id_bits
        self.depth = depth
        super().__init__({
            "ar": In(stream.Signature(address_layout(FABRIC_ADDRESS_BITS, id_bits))),
            "r": Out(stream.Signature(read_layout(config.bus_bytes, id_bits))),
            "request": Out(stream.Signature(request_layout(config))),
            "beat": In(stream.Signature(beat_layout(config))).array(slaves(config)),
        })

    @property
    def key(self) -> tuple:
        config = self.config
        return (
            config.channels, config.l3_bytes, config.l2_ports, config.l2_bytes, config.bus_bytes, config.outstanding, self.id_bits,
            self.depth,
        )

    def build(self, platform):
        m = Module()
        slots = range(self.depth)
        beats = CHUNK_BYTES // self.config.bus_bytes
        head, tail = Signal(slot_bits(self.config)), Signal(slot_bits(self.config))
        used = Signal(range(len(slots) + 1))
        ids = Array(Signal(self.id_bits, name=f"id_{slot}") for slot in slots)
        arrived = Array(Signal(range(beats + 1), name=f"arrived_{slot}") for slot in slots)
        complete = Array(Signal(name=f"complete_{slot}") for slot in slots)

        def following(slot):
            return 0 if len(slots) == 1 else (slot + 1) % len(slots)

        # Out
        m.submodules.decoded = decoded = StreamRegister(
            data.StructLayout({"id": self.id_bits, "target": slaves(self.config), "address": LOCAL_ADDRESS_BITS, "len": 8})
        )
        target, local = decode(self.config, self.ar.payload.address)
        waiting = decoded.output
        m.d.comb += [
            decoded.input.valid.eq(self.ar.valid), self.ar.ready.eq(decoded.input.ready),
            decoded.input.payload.id.eq(self.ar.payload.id), decoded.input.payload.len.eq(self.ar.payload.len),
            decoded.input.payload.target.eq(target), decoded.input.payload.address.eq(local),
            self.request.valid.eq(waiting.valid & (used != len(slots))),
            waiting.ready.eq(self.request.ready & (used != len(slots))),
            *(self.request.payload[name].eq(waiting.payload[name]) for name in ("target", "address", "len")),
            self.request.payload.slot.eq(tail),
        ]
        issued = self.request.valid & self.request.ready
        with m.If(issued):
            m.d.sync += [ids[tail].eq(waiting.payload.id), tail.eq(following(tail))]

        # In: a beat of any slave into its slot.
        m.submodules.slots = memory = SramDual(len(slots) * beats, 8 * self.config.bus_bytes + Response.as_shape().width)
        m.submodules.choice = choice = RoundRobin(len(self.beat))
        m.d.comb += [choice.request.eq(Cat(beat.valid for beat in self.beat)), choice.taken.eq(choice.grant.any())]
        beat = Signal(beat_layout(self.config))
        for number, offer in enumerate(self.beat):
            m.d.comb += offer.ready.eq(choice.grant[number])
            with m.If(choice.grant[number]):
                m.d.comb += beat.eq(offer.payload)
        m.d.comb += [
            memory.write.eq(choice.taken),
            memory.write_address.eq(Cat(arrived[beat.slot][: (beats - 1).bit_length()], beat.slot)),
            memory.write_data.eq(Cat(beat.data, beat.resp)),
        ]
        with m.If(choice.taken):
            m.d.sync += [arrived[beat.slot].eq(arrived[beat.slot] + 1), complete[beat.slot].eq(beat.last)]

        # Back to the master: the oldest slot, as far as it has arrived.
        m.submodules.out = out = StreamRegister(read_layout(self.config.bus_bytes, self.id_bits))
        position = Signal(range(beats + 1))
        fetched = Signal(data.StructLayout({"valid": 1, "id": self.id_bits, "last": 1}))
        fetch, last = Signal(), Signal()
        m.d.comb += [
            fetch.eq((position != arrived[head]) & (~fetched.valid | out.input.ready)),
            last.eq(complete[head] & (position + 1 == arrived[head])),
            memory.read_enable.eq(fetch), memory.read_address.eq(Cat(position[: (beats - 1).bit_length()], head)),
            out.input.valid.eq(fetched.valid),
            out.input.payload.id.eq(fetched.id), out.input.payload.last.eq(fetched.last),
            Cat(out.input.payload.data, out.input.payload.resp).eq(memory.read_data),
            self.r.valid.eq(out.output.valid), self.r.payload.eq(out.output.payload), out.output.ready.eq(self.r.ready),
        ]
        with m.If(fetch):
            m.d.sync += [fetched.valid.eq(1), fetched.id.eq(ids[head]), fetched.last.eq(last), position.eq(position + 1)]
            with m.If(last):
                m.d.sync += [position.eq(0), head.eq(following(head)), arrived[head].eq(0), complete[head].eq(0)]
        with m.Elif(out.input.ready):
            m.d.sync += fetched.valid.eq(0)
        m.d.sync += used.eq(used + issued - (fetch & last))
        return m


class ReadSlave(EmitOnce):
    """One slave's side: takes turns among the masters, and sends each beat to the master and slot of its ID.

    Members
    -------
    request
        From each master; `target` has been looked at already.
    ar, r
        The slave's channels; its ID is {slot, master}, slot lowest.
    beat
        To each master.

    One burst and one beat a cycle; each way takes one cycle.
    """

    def __init__(self, config: ChipConfig, masters: int):
        self.config = config
        self.masters = masters
        self.id_bits = slot_bits(config) + (masters - 1).bit_length()
        super().__init__({
            "request": In(stream.Signature(request_layout(config))).array(masters),
            "ar": Out(stream.Signature(address_layout(LOCAL_ADDRESS_BITS, self.id_bits))),
            "r": In(stream.Signature(read_layout(config.bus_bytes, self.id_bits))),
            "beat": Out(stream.Signature(beat_layout(config))).array(masters),
        })

    @property
    def key(self) -> tuple:
        return (self.config.bus_bytes, self.config.outstanding, slaves(self.config), self.masters)

    def build(self, platform):
        m = Module()
        m.submodules.choice = choice = RoundRobin(self.masters)
        m.submodules.address = address = StreamRegister(self.ar.payload.shape())
        m.d.comb += [
            choice.request.eq(Cat(request.valid for request in self.request)),
            choice.taken.eq(choice.grant.any() & address.input.ready),
            address.input.valid.eq(choice.grant.any()),
            self.ar.valid.eq(address.output.valid), self.ar.payload.eq(address.output.payload), address.output.ready.eq(self.ar.ready),
        ]
        number_bits = self.id_bits - slot_bits(self.config)
        for number, request in enumerate(self.request):
            m.d.comb += request.ready.eq(choice.grant[number] & address.input.ready)
            with m.If(choice.grant[number]):
                m.d.comb += [
                    address.input.payload.id.eq(Cat(request.payload.slot, Const(number, number_bits))),
                    address.input.payload.address.eq(request.payload.address), address.input.payload.len.eq(request.payload.len),
                ]

        m.submodules.data = returned = StreamRegister(self.r.payload.shape())
        payload = returned.output.payload
        slot, master = payload.id[: slot_bits(self.config)], payload.id[slot_bits(self.config) :]
        m.d.comb += [
            returned.input.valid.eq(self.r.valid), returned.input.payload.eq(self.r.payload), self.r.ready.eq(returned.input.ready),
        ]
        taken = []
        for number, beat in enumerate(self.beat):
            mine = master == number
            m.d.comb += [
                beat.valid.eq(returned.output.valid & mine), beat.payload.slot.eq(slot),
                *(beat.payload[name].eq(payload[name]) for name in ("data", "resp", "last")),
            ]
            taken.append(beat.ready & mine)
        m.d.comb += returned.output.ready.eq(Cat(taken).any())
        return m
