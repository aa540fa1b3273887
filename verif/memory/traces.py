"""Random legal command traces for random timing sets, and the same with one command moved, of which the broken rules are known.

A referee of its own, written from the rules as the lowest clock at which each allows a command. A command that stands at such a limit
breaks just the rules of that limit one clock earlier: distances to what comes later only grow.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from random import Random

from rtl.memory.timing import TimingError, TimingSet
from verif.memory.cases import Command

__all__ = ["Mutant", "Trace", "mutants", "random_timing", "random_trace", "shuffled"]

NEVER = -(10**6)
COLUMN = ("RD", "RDA", "WR", "WRA")


def random_timing(random: Random, number: int) -> TimingSet:
    """A valid set that nobody tuned for. tRC has slack over tRAS + tRP in most, and tFAW binds in half of them."""
    while True:
        pick = random.randint
        short = {"RL": pick(4, 40), "WL": pick(1, 20), "tRCDRD": pick(3, 30), "tRCDWR": pick(3, 30), "tRP": pick(3, 30), "tWR": pick(3, 40),
                 "tRTP": pick(2, 14), "tRTW_GAP": pick(1, 4), "tRREFD": pick(3, 25)}
        short["tRAS"] = max(short["tRCDRD"], short["tRCDWR"]) + pick(0, 30)
        short["tRC"] = short["tRAS"] + short["tRP"] + random.choice((0, pick(1, 20), pick(1, 20)))
        for name, most in (("tRRD", 9), ("tCCD", 4), ("tWTR", 14)):
            short[f"{name}_S"] = pick(2, most)
            short[f"{name}_L"] = short[f"{name}_S"] + pick(0, 5)
        short["tFAW"] = 4 * short["tRRD_S"] + pick(-3, 0) if number % 2 else 4 * short["tRRD_L"] + pick(1, 30)
        short["tRFCsb"] = pick(30, 200)
        short["tRFC"] = short["tRFCsb"] + pick(0, 200)
        short["tREFIsb"] = pick(60, 120)
        short["tREFI"] = 16 * short["tREFIsb"] + pick(0, 200)
        assert set(short) | {"name", "tCK"} == {field.name for field in fields(TimingSet)}
        try:
            return TimingSet(f"random{number}", Fraction(5, 8), **short)
        except TimingError:
            continue


class _Referee:
    """What has happened, and from which clock on each rule allows a command."""

    def __init__(self, t: TimingSet):
        self.t = t
        self.row: list[int | None] = [None] * 16
        # Clocks on the bus: an ACT's first one.
        self.act, self.pre, self.rd, self.wr, self.refsb = ([NEVER] * 16 for _ in range(5))
        self.refab = NEVER
        #: (counting clock, bank) of each ACT and REFSB.
        self.activates: list[tuple[int, int]] = []
        self.round: set[int] = set()
        self.round_end = NEVER
        self.row_free = 0
        self.column_free = 0
        self.data: set[int] = set()
        self.refreshes = [0] * 16

    def limits(self, command: Command) -> dict[str, int]:
        """For each rule that bears on the command, the first clock at which it is kept."""
        t, bank = self.t, command.bank
        if command.name in COLUMN:
            return {name: limit for name, limit in self._column(command.name[:2], bank) if limit > NEVER // 2}
        found = {"ROW_BUS": self.row_free}
        if command.name == "ACT":
            found |= {name: limit - 1 for name, limit in self._activate(bank).items()}
            found["tRC"] = self.act[bank] + t.tRC
        elif command.name == "REFSB":
            found |= self._activate(bank)
            if not self.round:
                found["tRFCsb"] = max(found["tRFCsb"], self.round_end + t.tRFCsb)
        elif command.name in ("REFAB", "MRS"):
            found |= {
                "tRC": max(self.act) + 1 + t.tRC, "tRP": max(self.pre) + t.tRP, "tRFC": self.refab + t.tRFC,
                "tRFCsb": max(self.refsb) + t.tRFCsb,
            }
        else:
            for each in range(16) if command.name == "PREA" else (bank,):
                if self.row[each] is not None:
                    for name, limit in self._precharge(each).items():
                        found[name] = max(found.get(name, NEVER), limit)
        return {name: limit for name, limit in found.items() if limit > NEVER // 2}

    def _activate(self, bank: int) -> dict[str, int]:
        """For a REFSB; an ACT counts one clock later."""
        t = self.t
        group = [clock for clock, other in self.activates[-40:] if other != bank and other % 4 == bank % 4]
        others = [clock for clock, other in self.activates[-40:] if other % 4 != bank % 4]
        return {
            "tRC": self.act[bank] + 1 + t.tRC, "tRP": self.pre[bank] + t.tRP, "tRFC": self.refab + t.tRFC,
            "tRFCsb": self.refsb[bank] + t.tRFCsb,
            "tRRD_L": max(group, default=NEVER) + t.tRRD_L, "tRRD_S": max(others, default=NEVER) + t.tRRD_S,
            "tRREFD": max(clock for other, clock in enumerate(self.refsb) if other != bank) + t.tRREFD,
            "tFAW": (self.activates[-4][0] if len(self.activates) > 3 else NEVER) + t.tFAW,
        }

    def _precharge(self, bank: int) -> dict[str, int]:
        t = self.t
        return {"tRAS": self.act[bank] + 1 + t.tRAS, "tRTP": self.rd[bank] + t.tRTP, "tWR": self.wr[bank] + t.WL + 2 + t.tWR}

    def _column(self, direction: str, bank: int) -> Iterator[tuple[str, int]]:
        t = self.t
        same = [other for other in range(16) if other % 4 == bank % 4]
        others = [other for other in range(16) if other % 4 != bank % 4]
        yield "tCCD_L", max(max(self.rd[other], self.wr[other]) for other in same) + t.tCCD_L
        yield "tCCD_S", max(max(self.rd[other], self.wr[other]) for other in others) + t.tCCD_S
        if direction == "RD":
            yield "tRCDRD", self.act[bank] + 1 + t.tRCDRD
            yield "tWTR_L", max(self.wr[other] for other in same) + t.WL + 2 + t.tWTR_L
            yield "tWTR_S", max(self.wr[other] for other in others) + t.WL + 2 + t.tWTR_S
        else:
            yield "tRCDWR", self.act[bank] + 1 + t.tRCDWR
            yield "tRTW", max(self.rd) + t.RL + 2 + t.tRTW_GAP - t.WL

    def broken(self, command: Command) -> set[str]:
        """Rules that the command would break at its time."""
        found = {name for name, limit in self.limits(command).items() if command.time < limit}
        if command.name in COLUMN and self.data & set(self._burst(command)):
            found.add("DATA_BUS")
        return found

    def _burst(self, command: Command) -> tuple[int, int]:
        first = command.time + (self.t.RL if command.name.startswith("RD") else self.t.WL)
        return first, first + 1

    def debt(self, time: int) -> int:
        """Refreshes that the worst bank is owed at a clock."""
        return (time + 1) // self.t.tREFI - min(self.refreshes)

    def note(self, command: Command):
        """The command goes out."""
        time, name, bank = command.time, command.name, command.bank
        if name in COLUMN:
            self.column_free = time + 1
            self.data.update(self._burst(command))
            (self.rd if name.startswith("RD") else self.wr)[bank] = time
            if name in ("RDA", "WRA"):
                self.row[bank] = None
                self.pre[bank] = max(self._precharge(bank).values())
            return
        self.row_free = time + (2 if name == "ACT" else 1)
        if name == "ACT":
            self.row[bank], self.act[bank] = command.row, time
            self.activates.append((time + 1, bank))
        elif name in ("PRE", "PREA"):
            for each in range(16) if name == "PREA" else (bank,):
                if self.row[each] is not None:
                    self.row[each], self.pre[each] = None, time
        elif name == "REFSB":
            self.refsb[bank] = time
            self.activates.append((time, bank))
            self.round.add(bank)
            self.refreshes[bank] += 1
            if len(self.round) == 16:
                self.round, self.round_end = set(), time
        elif name == "REFAB":
            self.refab, self.round = time, set()
            self.refreshes = [count + 1 for count in self.refreshes]


@dataclass(frozen=True)
class Trace:
    """A legal trace. `moves` are (index, rules): the command at `index` breaks just these rules one clock earlier."""

    commands: tuple[Command, ...]
    moves: tuple[tuple[int, frozenset[str]], ...]


@dataclass(frozen=True)
class Mutant:
    """An illegal trace and the rules that it breaks."""

    rules: frozenset[str]
    commands: tuple[Command, ...]


def _candidates(referee: _Referee, random: Random, rows: int) -> Iterator[Command]:
    """Commands that the state allows, the interesting ones more often."""
    t = referee.t
    bank = random.choice((random.randrange(16), referee.activates[-1][1] if referee.activates else 0))
    is_open = [each for each in range(16) if referee.row[each] is not None]
    for each in random.sample(is_open, min(3, len(is_open))):
        yield Command(0, random.choice(("RD", "RD", "WR", "WR", "RDA", "WRA")), each, 0, random.randrange(32))
        yield Command(0, "PRE", each)
    closed = [each for each in (bank, bank ^ 4, random.randrange(16)) if referee.row[each] is None]
    for each in closed:
        yield Command(0, "ACT", each, random.randrange(rows))
        # One of these in three, or rounds would come to their end before anything was open.
        if each not in referee.round and (random.random() < 0.3 or len(referee.round) > 10):
            yield Command(0, "REFSB", each)
    if random.random() < 0.1:
        yield Command(0, "PREA")
    if not is_open and random.random() < 0.5:
        yield Command(0, "REFAB")
        yield Command(0, "MRS", *random.choice(((0, t.RL), (1, t.WL))))
    if random.random() < 0.1:
        yield Command(0, "PRE", bank)  # perhaps of a closed one, which does nothing


def random_trace(t: TimingSet, random: Random, length: int, rows: int) -> Trace:
    """A legal trace of `length` commands; most of them stand at the first clock that the rules allow."""
    referee = _Referee(t)
    commands: list[Command] = []
    moves: list[tuple[int, frozenset[str]]] = []
    now = 5
    refresh = False
    while len(commands) < length:
        refresh |= referee.debt(now + 200) >= 7
        if refresh:
            closed = all(row is None for row in referee.row)
            choice = Command(0, "REFAB" if closed else "PREA")
            refresh = not closed
        else:
            choices = list(_candidates(referee, random, rows))
            if not choices:
                continue
            choice = random.choice(choices)
        free = referee.column_free if choice.name in COLUMN else 0
        time = max([now, free, *referee.limits(choice).values()])
        if time > now + t.tRFCsb and random.random() < 0.8 and not refresh and choice.name != "REFAB":
            continue  # a long wait ends what is under way: not too often
        time += random.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 5))
        command = choice.at(time)
        assert not referee.broken(command)
        early = command.at(time - 1)
        rules = referee.broken(early)
        # Nothing else may lie in the clocks of the move, or the order would change.
        if rules and time - 1 > (commands[-1].time if commands else 0):
            moves.append((len(commands), frozenset(rules)))
        referee.note(command)
        commands.append(command)
        now = time
    ordered = _in_order(commands)
    return Trace(ordered, tuple((ordered.index(commands[index]), rules) for index, rules in moves))


def _in_order(commands: Iterable[Command]) -> tuple[Command, ...]:
    """As the device looks at them: of two commands in one clock at the column command first."""
    return tuple(sorted(commands, key=lambda command: (command.time, command.name not in COLUMN)))


def mutants(trace: Trace) -> Iterator[Mutant]:
    """The trace up to each command that can be moved, and a little further, with that one a clock early."""
    for index, rules in trace.moves:
        command = trace.commands[index]
        moved = command.at(command.time - 1)
        yield Mutant(rules, _in_order([*trace.commands[:index], moved, *trace.commands[index + 1 : index + 6]]))


def shuffled(trace: Trace, random: Random, rows: int) -> tuple[Command, ...]:
    """The trace with a few commands left out, moved, or sent to another bank or row: probably illegal in several ways."""
    commands = []
    for command in trace.commands:
        what = random.random()
        time, bank, row = command.time, command.bank, command.row
        if what < 0.03:
            continue
        if what < 0.10:
            time = max(0, time + random.randint(-12, 3))
        elif what < 0.13 and command.name != "MRS":
            bank = random.randrange(16)
        elif what < 0.14 and command.name == "ACT":
            row = rows + random.randrange(5)
        commands.append(Command(time, command.name, bank, row, command.column))
    used: set[tuple[int, bool]] = set()
    kept = []
    for command in _in_order(commands):
        bus = (command.time, command.name in COLUMN)
        if bus not in used:
            used.add(bus)
            kept.append(command)
    return tuple(kept)
