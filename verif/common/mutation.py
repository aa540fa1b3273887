"""Runs of a testbench on a mutant of its design (:mod:`sim.verilog.mutate`)."""

import fcntl
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth.lib import wiring

from sim.tools import build_folder
from sim.verilog.cache import source_digest
from sim.verilog.emit import Emission
from sim.verilog.mutate import Mutated, mutate

__all__ = ["Campaign", "Mutation"]


@dataclass(frozen=True)
class Campaign:
    """The mutants of one design: `count`, drawn by `seed`, of the design whose emission has the `digest`; below the submodule `inside`.

    `upsets` is the kind of bits that turn over for a moment, "" for faults that stay.
    """

    digest: str
    inside: str
    count: int
    seed: int
    upsets: str = ""

    @classmethod
    def load(cls, file: Path) -> "Campaign":
        return cls(**json.loads(file.read_text()))

    def save(self, file: Path):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)) + "\n")

    @property
    def file(self) -> Path:
        """Where :meth:`mutated` keeps the design with its mutants."""
        key = hashlib.sha256((source_digest() + repr(self)).encode()).hexdigest()[:16]
        return build_folder() / "mutants" / f"{key}.json"

    def mutated(self, component: wiring.Component | None = None) -> Mutated:
        """The design with its mutants; made from `component` where it isn't kept yet."""
        file = self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                if component is None:
                    raise FileNotFoundError(file)
                mutate(component, "dut", count=self.count, seed=self.seed, inside=self.inside, upsets=self.upsets).save(file)
        return Mutated.load(file)


@dataclass(frozen=True)
class Mutation:
    """One mutant of a campaign; 0 is the design as it is."""

    campaign: Campaign
    number: int

    def emission(self, component: wiring.Component, made: Emission) -> Emission | None:
        """The design with its mutants in the place of `made`, or None if that is another one."""
        return self.campaign.mutated(component).emission if made.digest == self.campaign.digest else None
