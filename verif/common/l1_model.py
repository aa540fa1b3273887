"""A model of the L1 scratchpad for engine testbenches: answers read and write ports with random delays."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.l1.port import L1Read, L1Write
from verif.common.streams import unpack

__all__ = ["L1Model"]


class L1Model:
    """Serves the L1 ports of the design under test (named as in `ports`) from `memory`, a numpy array of bytes.

    Requests stall with probability `stall`; responses and `written` pulses come in order, 2 to `latency` cycles after the grant.
    A read that is granted after a write's `written` sees its bytes. Addresses must lie inside the memory.
    With `stall` = 0 and `latency` = 2 the model is as fast as an L1 without conflicts.
    """

    def __init__(self, dut, ports: dict, memory: np.ndarray, rng: random.Random, *, stall: float = 0.3, latency: int = 6):
        if latency < 2:
            raise ValueError(f"latency {latency} is less than the 2 cycles of an L1")
        self.dut = dut
        self.memory = memory
        self.stall = stall
        self.latency = latency
        #: Accesses granted by port.
        self.accesses = dict.fromkeys(ports, 0)
        for name, signature in ports.items():
            stream = random.Random(rng.random())
            if isinstance(signature, L1Read):
                cocotb.start_soon(self._read_port(name, signature, stream))
            elif isinstance(signature, L1Write):
                cocotb.start_soon(self._write_port(name, signature, stream))
            else:
                raise TypeError(f"{name}: {signature!r} is not a port of the L1")

    async def _requests(self, name: str, signature, rng: random.Random, answer):
        """Each cycle: drives `answer(cycle)`, then takes a request or stalls. Yields (cycle, request or None)."""
        valid, ready, payload = (getattr(self.dut, f"{name}__request__{part}") for part in ("valid", "ready", "payload"))
        offered = None
        cycle = 0
        while True:
            await FallingEdge(self.dut.clk)
            cycle += 1
            answer(cycle)
            take = rng.random() >= self.stall
            ready.value = int(take)
            await ReadOnly()
            if int(self.dut.rst.value):
                continue
            if int(valid.value):
                bits = int(payload.value)
                assert offered in (None, bits), f"{name}: the request changed before it was taken"
                offered = None if take else bits
                if take:
                    self.accesses[name] += 1
                    yield cycle, unpack(signature.request_shape, bits)
            else:
                assert offered is None, f"{name}: the request was taken back"

    def _due(self, cycle: int, queue: list, rng: random.Random) -> int:
        """When a new answer comes: in order, one a cycle."""
        least = queue[-1][0] + 1 if queue else 0
        return max(cycle + rng.randint(2, self.latency), least)

    async def _read_port(self, name: str, signature: L1Read, rng: random.Random):
        port = getattr(self.dut, f"{name}__response")
        queue: list = []

        def answer(cycle):
            if queue and queue[0][0] <= cycle:
                port.value = queue.pop(0)[1] << 1 | 1
            else:
                port.value = 0

        async for cycle, request in self._requests(name, signature, rng, answer):
            address, size = request.address, request.size
            assert 1 <= size <= signature.width, f"{name}: size {size} is not in 1 to {signature.width}"
            assert address + size <= len(self.memory), f"{name}: {size} byte at {address:#x} reach beyond the L1"
            data = int.from_bytes(self.memory[address:address + size].tobytes(), "little")
            # What lies beyond `size` is undefined: make it visible.
            data |= rng.getrandbits(8 * signature.width) >> 8 * size << 8 * size
            queue.append((self._due(cycle, queue, rng), data))

    async def _write_port(self, name: str, signature: L1Write, rng: random.Random):
        written = getattr(self.dut, f"{name}__written")
        queue: list = []

        def answer(cycle):
            due = bool(queue) and queue[0][0] <= cycle
            written.value = int(due)
            if due:
                # The bytes become visible with the pulse and not before: a requester that doesn't wait reads old ones.
                _, address, data, strobe = queue.pop(0)
                for lane in range(signature.width):
                    if strobe >> lane & 1:
                        self.memory[address + lane] = data >> 8 * lane & 0xFF

        async for cycle, request in self._requests(name, signature, rng, answer):
            address, data, strobe = request.address, request.data, request.strobe
            last = strobe.bit_length()
            assert address + last <= len(self.memory), f"{name}: {last} byte at {address:#x} reach beyond the L1"
            queue.append((self._due(cycle, queue, rng), address, data, strobe))
