"""AXI4-Lite slave: turns the five channels into one write and one read at a time."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4Lite, Response
from rtl.bus.registers import RegisterRead, RegisterWrite

__all__ = ["ADDRESS_BITS", "AxiLiteSlave"]

ADDRESS_BITS = 16


class AxiLiteSlave(wiring.Component):
    """AXI4-Lite (Arm IHI 0022) with 32-bit data. Write address and data may come in any order.

    One write and one read at a time, independent of each other: a write takes three cycles and a read four at best. The lowest two
    address bits are ignored. An access with `error` is answered by SLVERR, a read then with zeros.
    All outputs come from registers.
    """

    axi: In(AXI4Lite(ADDRESS_BITS))
    write: Out(RegisterWrite(ADDRESS_BITS))
    read: Out(RegisterRead(ADDRESS_BITS))

    def elaborate(self, platform):
        m = Module()
        axi = self.axi

        held = Signal(data.StructLayout({"address": 1, "data": 1}))
        m.d.comb += [axi.awready.eq(~held.address), axi.wready.eq(~held.data)]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [held.address.eq(1), self.write.address.eq(axi.awaddr[2:])]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [held.data.eq(1), self.write.data.eq(axi.wdata), self.write.strobe.eq(axi.wstrb)]
        m.d.comb += self.write.valid.eq(held.address & held.data & ~axi.bvalid)
        with m.If(self.write.valid):
            m.d.sync += [axi.bvalid.eq(1), axi.bresp.eq(Mux(self.write.error, Response.SLVERR, Response.OKAY)), held.eq(0)]
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)

        with m.FSM():
            with m.State("ADDRESS"):
                m.d.comb += axi.arready.eq(1)
                with m.If(axi.arvalid):
                    m.d.sync += self.read.address.eq(axi.araddr[2:])
                    m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += self.read.valid.eq(1)
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.sync += [
                    axi.rvalid.eq(1), axi.rdata.eq(Mux(self.read.error, 0, self.read.data)),
                    axi.rresp.eq(Mux(self.read.error, Response.SLVERR, Response.OKAY)),
                ]
                m.next = "RESPONSE"
            with m.State("RESPONSE"):
                with m.If(axi.rready):
                    m.d.sync += axi.rvalid.eq(0)
                    m.next = "ADDRESS"
        return m
