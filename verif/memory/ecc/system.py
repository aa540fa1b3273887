"""What the tests simulate: the codec with errors between its halves, and the guard with its decoder."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.ecc.codec import Decoder, Encoder
from rtl.memory.ecc.guard import Guard
from rtl.memory.interface import CHECK_BITS, Injection, coded_request, errors, fetched, request, returned, rewrite, verdict

__all__ = ["ATOM_BITS", "Codec", "Guarded"]

#: 64 rows.
ATOM_BITS = 15


class Codec(wiring.Component):
    """`stored`, with the check bits of its data, gets the errors `wrong` (a mask over data and check bits) and comes back decoded."""

    ecc: In(1)
    stored: In(fetched(ATOM_BITS))
    wrong_data: In(256)
    wrong_check: In(CHECK_BITS)
    check: Out(CHECK_BITS)
    returned: Out(returned())
    verdict: Out(verdict(ATOM_BITS))

    def elaborate(self, platform):
        m = Module()
        m.submodules.encoder = encoder = Encoder()
        m.submodules.decoder = decoder = Decoder(ATOM_BITS)
        m.d.comb += [
            encoder.data.eq(self.stored.data), self.check.eq(encoder.check), decoder.ecc.eq(self.ecc),
            decoder.fetched.eq(self.stored), decoder.fetched.data.eq(self.stored.data ^ self.wrong_data),
            decoder.fetched.check.eq(encoder.check ^ self.wrong_check),
            self.returned.eq(decoder.returned), self.verdict.eq(decoder.verdict),
        ]
        return m


class Guarded(wiring.Component):
    """Guard and decoder, as they stand around a scheduler."""

    def __init__(self, entries: int = 8):
        self.entries = entries
        super().__init__({
            "ecc": In(1), "hold": In(1), "idle": Out(1),
            "request": In(stream.Signature(request(ATOM_BITS))), "coded": Out(stream.Signature(coded_request(ATOM_BITS))),
            "fetched": In(fetched(ATOM_BITS)), "returned": Out(returned()), "verdict": Out(verdict(ATOM_BITS)),
            "scrub": In(stream.Signature(rewrite(ATOM_BITS))), "injection": In(Injection), "injected": Out(1),
            "errors": Out(errors(ATOM_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.guard = guard = Guard(ATOM_BITS, self.entries)
        m.submodules.decoder = decoder = Decoder(ATOM_BITS)
        wiring.connect(m, wiring.flipped(self.request), guard.request)
        wiring.connect(m, wiring.flipped(self.scrub), guard.scrub)
        wiring.connect(m, guard.coded, wiring.flipped(self.coded))
        m.d.comb += [
            decoder.ecc.eq(self.ecc), decoder.fetched.eq(self.fetched), guard.ecc.eq(self.ecc), guard.hold.eq(self.hold),
            guard.returned.eq(decoder.returned), guard.verdict.eq(decoder.verdict), guard.injection.eq(self.injection),
            self.idle.eq(guard.idle), self.returned.eq(decoder.returned), self.verdict.eq(decoder.verdict),
            self.injected.eq(guard.injected), self.errors.eq(guard.errors),
        ]
        return m
