"""A small serial divider for index ranges."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Divider"]


class Divider(wiring.Component):
    """floor(`dividend` / `divisor`), saturated at 65535: an index is never larger. Restoring, one bit a cycle.

    Members
    -------
    start
        Takes the operands; not before the last `done`.
    divisor
        1 or more.
    done
        One cycle; 1 cycle after `start` where the divisor is 1 or the quotient saturates, else 17. `quotient` stays until the next `start`.
    """

    start: In(1)
    dividend: In(33)
    divisor: In(16)
    done: Out(1)
    quotient: Out(16)

    def elaborate(self, platform):
        m = Module()
        divisor = Signal(16)
        remainder = Signal(16)
        steps = Signal(range(17))
        # The quotient moves in from below as the dividend's low half moves out above.
        ahead, rest = Signal(17), Signal(17)
        m.d.comb += [ahead.eq(remainder << 1 | self.quotient[15]), rest.eq(ahead - divisor)]
        fits = ahead >= divisor

        m.d.sync += self.done.eq(0)
        with m.If(self.start):
            overflow = self.dividend[16:] >= self.divisor
            short = overflow | (self.divisor == 1)
            m.d.sync += [
                divisor.eq(self.divisor),
                remainder.eq(self.dividend[16:32]),
                self.quotient.eq(Mux(overflow, 0xFFFF, self.dividend[:16])),
                steps.eq(Mux(short, 0, 16)),
                self.done.eq(short),
            ]
        with m.Elif(steps != 0):
            m.d.sync += [
                remainder.eq(Mux(fits, rest, ahead)),
                self.quotient.eq(self.quotient << 1 | fits),
                steps.eq(steps - 1),
                self.done.eq(steps == 1),
            ]
        return m
