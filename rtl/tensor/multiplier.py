"""The shared multipliers. Combinational."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.tensor.carry_save import compress
from rtl.tensor.frame import Frame

__all__ = ["Multiplier"]


class Multiplier(wiring.Component):
    """Product of two significands, or of one or two pairs of bytes and their sum: radix-4 Booth digits of `b`, one tree of adders.

    Digits 0 to 3 are those of the low 8 bits of a significand, or of the low byte. Digits 4 and up are those of the rest of the
    significand, times `a` 8 places higher; or of the high byte, times the high byte of `a`, 8 places lower.

    Members
    -------
    a, b : `factor`
        Significands; zero for bytes.
    a_bytes, b_bytes : 16
        Two pairs; zero for significands. `a_signed` says how those of `a` are read; those of `b` are signed.
    product : 2 * `factor`
        a * b. Of bytes: their sum, modulo 2^17, from bit `factor` - 9 up; the bits above are undefined.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        n = frame.factor
        super().__init__({
            "a": In(n), "b": In(n), "a_bytes": In(16), "b_bytes": In(16), "a_signed": In(1), "product": Out(2 * n),
        })

    def elaborate(self, platform):
        m = Module()
        n = self._frame.factor
        width = 2 * n
        lanes = self._frame.int8 // 4
        floating = self._frame.floating

        def signed_byte(number):
            """A byte of `a` at the left of a significand, and its sign above."""
            if number >= lanes:
                return C(0, n + 1)
            byte = self.a_bytes.word_select(number, 8)
            sign = byte[7] & self.a_signed
            return Cat(C(0, n - 9), byte, sign, sign)

        low, high = signed_byte(0), signed_byte(1)
        if floating:
            low = low | Cat(self.a, C(0, 1))
        digits = Cat(self.b[:8] | self.b_bytes[:8] if lanes else self.b[:8], C(0, 1))
        # (multiplicand, its place, three bits of the multiplier)
        rows = [(low, 2 * i, Cat(C(0, 1), digits)[2 * i : 2 * i + 3]) for i in range(4)]
        rest = Cat(self.b[7], self.b[8:]) if floating else C(0, 1)
        if lanes == 2:
            # A significand lies 8 places higher than a byte, so that both rows start at the same place.
            wide = Cat(high, high[-1].replicate(8))
            if floating:
                wide = wide | Cat(C(0, 8), self.a, C(0, 1))
            digits = rest | Cat(C(0, 1), self.b_bytes[8:])
            for i in range(4):
                wanted = Cat(digits, C(0, 9))[2 * i : 2 * i + 3]
                # Where no significand reaches, the byte alone is multiplied.
                rows.append((wide if floating and 2 * i < len(rest) else high, 2 * i, wanted))
        elif floating:
            for i in range((len(rest) + 1) // 2):
                rows.append((low, 8 + 2 * i, Cat(rest, C(0, 2))[2 * i : 2 * i + 3]))

        # A two's complement row is -s * 2^k + rest, and that ~s * 2^k + rest - 2^k: the constants go into a row of their own.
        partial, constant, negated = [], 0, []
        for index, (multiplicand, place, digit) in enumerate(rows):
            size = len(multiplicand) + 1
            one, two, negate = Signal(name=f"one{index}"), Signal(name=f"two{index}"), Signal(name=f"negate{index}")
            row = Signal(size, name=f"row{index}")
            once, twice = Cat(multiplicand, multiplicand[-1]), Cat(C(0, 1), multiplicand)
            m.d.comb += [
                one.eq(digit[0] ^ digit[1]), two.eq((digit[2] ^ digit[1]) & ~one), negate.eq(digit[2]),
                row.eq((once & one.replicate(size) | twice & two.replicate(size)) ^ negate.replicate(size)),
            ]  # fmt: skip
            constant -= 1 << (place + size - 1)
            partial.append(Cat(C(0, place), row[:-1], ~row[-1]))
            negated.append(negate)
        # A complemented row lacks a one at its lowest place. The next row leaves two places free there.
        last = Cat(C(0, 6), negated[3])
        for index in range(1, len(rows)):
            place = rows[index - 1][1]
            if rows[index][1] == place + 2:
                partial[index] = partial[index] | negated[index - 1] << place
        if len(rows) > 4 and rows[4][1] == 8:
            last = C(0, 1)  # row 4 had the place
        if lanes == 2:
            # The last one, at place 6, as two at place 5.
            for index in (3, 7):
                partial[index] = partial[index] | negated[7] << 5
        partial.append(last | C(constant % (1 << width), width))
        sum_, carry = compress(m, [Cat(row, C(0, width))[:width] for row in partial], width, "tree")
        m.d.comb += self.product.eq(sum_ + carry)
        return m
