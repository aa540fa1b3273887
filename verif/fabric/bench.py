"""Everything around the fabric: masters, slaves, and the contents that both are judged by."""

from cocotb.triggers import ClockCycles

from rtl.bus.axi import CHUNK_BYTES
from verif.common.clock import start
from verif.common.params import config, rng
from verif.fabric.master import Master
from verif.fabric.slave import Slave
from verif.fabric.space import Space, place

__all__ = ["CONFIG", "Around"]

CONFIG = config()


class Around:
    """Masters by name, without the host's; slaves by the prefix of their port."""

    def __init__(self, dut):
        bus, random = CONFIG.bus_bytes, rng("around")
        self.dut = dut
        sips = range(CONFIG.sips)
        writers = [*(f"data__{sip}" for sip in sips), "cluster_data"]
        readers = [*(f"fetch__{sip}" for sip in sips), "cluster_fetch"]
        self.masters = {name: Master(dut, name, random, bus_bytes=bus, writes=name in writers) for name in (*writers, *readers)}
        chunks = {"memory": CONFIG.channel_bytes // CHUNK_BYTES, "l2": CONFIG.l2_bytes // CONFIG.l2_ports // CHUNK_BYTES}
        ports = [("memory", channel) for channel in range(CONFIG.channels)] + [("l2", port) for port in range(CONFIG.l2_ports)]
        self.slaves = {
            f"{kind}__{number}": Slave(dut, f"{kind}__{number}", random, bus_bytes=bus, chunks=chunks[kind]) for kind, number in ports
        }
        self.space = Space(CONFIG)

    @classmethod
    async def bring_up(cls, dut, cycles: int = 200_000) -> "Around":
        await start(dut, cycles)
        return cls(dut)

    def set_stall(self, stall: float):
        for agent in (*self.masters.values(), *self.slaves.values()):
            agent.set_stall(stall)

    def check_slaves(self):
        """What lies in the slaves is what the masters have written, byte for byte, and nothing else was touched."""
        expected = {where: chunk for number, chunk in self.space.written().items() if (where := place(CONFIG, number)) is not None}
        for slave in self.slaves.values():
            for number, chunk in slave.contents.items():
                assert (slave.prefix, number) in expected, f"{slave.prefix}: chunk {number} was touched by nobody's wish"
                assert chunk == expected[slave.prefix, number], f"{slave.prefix}: chunk {number} differs"

    async def idle(self):
        await ClockCycles(self.dut.clk, 50)
