"""Drivers of Amaranth streams: a source and a sink with random stalls."""

import random

import cocotb
from amaranth.hdl import Const, Shape, ShapeCastable
from cocotb.queue import Queue
from cocotb.triggers import Event, FallingEdge, ReadOnly

__all__ = ["StreamSink", "StreamSource", "pack", "unpack"]


def pack(shape, value) -> int:
    """The bits of `value` in `shape`: an integer stays, a mapping or list is laid out as the struct says."""
    if isinstance(value, int):
        return value & ((1 << Shape.cast(shape).width) - 1)
    bits = Const.cast(shape.const(value) if isinstance(shape, ShapeCastable) else value)
    return bits.value & ((1 << Shape.cast(shape).width) - 1)


def unpack(shape, bits: int):
    """The value of `shape` (a struct's constant has fields) that `bits` encode."""
    return shape.from_bits(bits) if isinstance(shape, ShapeCastable) else bits


class StreamSource:
    """Offers items on the stream input `name` of the design, in order, with random gaps.

    `stall` is the probability that an item waits another cycle before it is offered; once offered it stays until it is taken.
    """

    def __init__(self, dut, name: str, shape, rng: random.Random, stall: float = 0.3):
        self._clk = dut.clk
        self._valid, self._ready, self._payload = (getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))
        self.shape = shape
        self.stall = stall
        self._rng = rng
        self._queue: Queue = Queue()
        self._held = False
        self._task = cocotb.start_soon(self._drive())

    async def send(self, value):
        """Returns when the item has been taken."""
        taken = Event()
        self._queue.put_nowait((pack(self.shape, value), taken))
        await taken.wait()

    def push(self, value):
        """Queues the item and returns at once."""
        self._queue.put_nowait((pack(self.shape, value), None))

    @property
    def idle(self) -> bool:
        """Nothing waits in the driver's own queue."""
        return self._queue.empty()

    @property
    def done(self) -> bool:
        """Every item has been taken; one may wait outside of the queue, before it is offered."""
        return self._queue.empty() and not self._held

    async def _drive(self):
        await FallingEdge(self._clk)
        while True:
            if self._queue.empty():
                bits, taken = await self._queue.get()
                self._held = True
                await FallingEdge(self._clk)
            else:  # the item before was taken at this falling edge: the next may follow without a gap
                bits, taken = self._queue.get_nowait()
                self._held = True
            while self._rng.random() < self.stall:
                await FallingEdge(self._clk)
            self._payload.value = bits
            self._valid.value = 1
            await ReadOnly()
            while not int(self._ready.value):
                await FallingEdge(self._clk)
                await ReadOnly()
            await FallingEdge(self._clk)
            self._valid.value = 0
            self._held = False
            if taken is not None:
                taken.set()


class StreamSink:
    """Takes items from the stream output `name` of the design with random stalls, and checks that an offer is not taken back."""

    def __init__(self, dut, name: str, shape, rng: random.Random, stall: float = 0.3):
        self._clk = dut.clk
        self._valid, self._ready, self._payload = (getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))
        self.name = name
        self.shape = shape
        self.stall = stall
        self._rng = rng
        self.items: Queue = Queue()
        self._task = cocotb.start_soon(self._drive())

    async def recv(self):
        """The next item, as an integer or a struct's constant."""
        return unpack(self.shape, await self.items.get())

    async def _drive(self):
        offered = None
        while True:
            await FallingEdge(self._clk)
            ready = self._rng.random() >= self.stall
            self._ready.value = int(ready)
            await ReadOnly()
            if int(self._valid.value):
                bits = int(self._payload.value)
                if offered is not None and bits != offered:
                    raise AssertionError(f"{self.name}: the payload changed from {offered:#x} to {bits:#x} before it was taken")
                offered = None if ready else bits
                if ready:
                    self.items.put_nowait(bits)
            elif offered is not None:
                raise AssertionError(f"{self.name}: the offer of {offered:#x} was taken back")
