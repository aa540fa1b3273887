from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rtl.isa import *
from rtl.l1.port import l1_ports
class TensorCore(wiring.Component):
    def __init__(self, config):
        super().__init__({"command": In(stream.Signature(TensorCommand)),
            "done": Out(data.StructLayout({"valid": 1, "completion": Completion})),
            "activity": Out(Activity),
            "result": Out(stream.Signature(data.ArrayLayout(32, config.vector_lanes))),
            **{name: Out(port) for name, port in l1_ports(config).items() if name.startswith("tensor_")}})
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.command.ready.eq(1)
        m.d.sync += [self.done.valid.eq(self.command.valid), self.done.completion.status.eq(Status.UNSUPPORTED)]
        return m
