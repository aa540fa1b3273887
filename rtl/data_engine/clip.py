"""Index clipping of SLICE: which indices of one dimension fall inside the source."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.divider import Divider

__all__ = ["Clip"]


class Clip(wiring.Component):
    """Finds the indices i of 0 <= i < size with 0 <= offset + i * step < extent. They are one range, since the sum is monotone in i.

    With k = |step|, low = ceil(near / k) and high = floor(far / k), where `near` and `far` are the ways from the offset to the
    source's first and last element in the direction of the step.

    Members
    -------
    start
        Takes the operands; not before the last `done`.
    size, extent
        1 to 65535.
    done
        One cycle; 6 cycles after `start`, or up to 38 where |step| > 1. `low` and `count` stay until the next `start`.
    low, count
        The range is `low` <= i < `low` + `count`; both are 0 where it is empty.
    """

    start: In(1)
    offset: In(signed(32))
    step: In(signed(16))
    extent: In(16)
    size: In(16)
    done: Out(1)
    low: Out(16)
    count: Out(16)

    def elaborate(self, platform):
        m = Module()
        m.submodules.divider = divider = Divider()

        # A 32-bit offset less a 16-bit extent: 33 bits and a sign.
        near, far = Signal(signed(34)), Signal(signed(34))
        k = Signal(16)
        stands = Signal()
        top = Signal(16)

        m.d.comb += [divider.divisor.eq(Mux(stands, 1, k)), divider.dividend.eq(Mux(far < 0, 0, far))]

        # A step of 0 stays where it is: all inside, or none.
        last = Mux(stands | (divider.quotient > top), top, divider.quotient)
        empty = (far < 0) | (self.low > last) | (stands & (near > 0))

        m.d.sync += self.done.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                back = self.step < 0
                last_element = self.extent - 1
                m.d.sync += [
                    near.eq(Mux(back, self.offset - last_element, -self.offset)),
                    far.eq(Mux(back, self.offset, last_element - self.offset)),
                    k.eq(Mux(back, -self.step, self.step)),
                    stands.eq(self.step == 0),
                    top.eq(self.size - 1),
                ]
                with m.If(self.start):
                    m.next = "NEAR"
            with m.State("NEAR"):
                # ceil(near / k) = floor((near + k - 1) / k)
                m.d.comb += [
                    divider.dividend.eq(Mux(near > 0, near + Mux(stands, 0, k - 1), 0)),
                    divider.start.eq(1),
                ]
                m.next = "LOW"
            with m.State("LOW"):
                with m.If(divider.done):
                    m.d.sync += self.low.eq(divider.quotient)
                    m.next = "FAR"
            with m.State("FAR"):
                m.d.comb += divider.start.eq(1)
                m.next = "HIGH"
            with m.State("HIGH"):
                with m.If(divider.done):
                    m.d.sync += [
                        self.low.eq(Mux(empty, 0, self.low)),
                        self.count.eq(Mux(empty, 0, last - self.low + 1)),
                        self.done.eq(1),
                    ]
                    m.next = "IDLE"
        return m
