"""Static timing of a mapped netlist: longest paths by where they start and end.

With a library, delays and slews come from its tables, rising and falling apart, with the capacitance of the pins that a net drives (no
wires). Flip-flops start a path with their clock-to-output delay and end it with their setup time. Inputs are ideal: they arrive at
time 0 with a sharp edge, whatever they drive; outputs carry no load of their own. Without a library a delay is the number of gates.
"""

from collections import defaultdict
from dataclasses import dataclass

from sim.synthesis.liberty import Arc, Library, Table

__all__ = ["KINDS", "Path", "longest"]

#: (start, end) of a path to its name; what lies at the ports of SRAMs and of blocks counted apart is in or out.
KINDS = {("in", "out"): "in_out", ("in", "reg"): "in_reg", ("reg", "reg"): "reg_reg", ("reg", "out"): "reg_out"}

#: Slew of inputs and of the clock, ns.
_SLEW = 0.02
_OUTPUTS = ("Y", "Q")


@dataclass(frozen=True)
class Path:
    """`delay` in ns or gates; names of its ends; `block` is the module that it lies in, None for the top."""

    delay: float
    source: str
    target: str
    stages: int
    block: str | None = None


#: Arrival, slew, start of the path, cells on it; for a rising and a falling edge.
_Arrival = tuple[float, float, str, int]


def longest(module: dict, library: Library | None) -> dict[str, Path]:
    """The longest path of each of :data:`KINDS` that there is, in a module of Yosys's JSON."""
    names: dict[int, tuple[str, int]] = {}
    for name, net in module["netnames"].items():
        for place, bit in enumerate(net["bits"]):
            if not isinstance(bit, str) and (bit not in names or net["hide_name"] < names[bit][1]):
                names[bit] = (f"{name}[{place}]" if len(net["bits"]) > 1 else name, net["hide_name"])
    cells: list = []
    ends: list[tuple[int, str, list[Table] | None]] = []
    load: defaultdict[int | None, float] = defaultdict(float)
    starts: dict[str, dict[int, list[_Arrival | None]]] = {"in": {}, "reg": {}}
    for port in module["ports"].values():
        for bit in port["bits"]:
            if port["direction"] == "input":
                starts["in"][bit] = [(0.0, _SLEW, names[bit][0], 0)] * 2
            else:
                ends.append((bit, "out", None))
    registers = []
    for cell in module["cells"].values():
        pins = {pin: bits[0] for pin, bits in cell["connections"].items() if len(bits) == 1}
        known = library.cells.get(cell["type"]) if library else None
        generic = library is None and cell["type"].startswith("$_")
        if known is None and not generic:  # an SRAM or a block of its own
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][pin] == "output":
                        starts["in"][bit] = [(0.0, _SLEW, f"{cell['type']}.{pin}", 0)] * 2
                    else:
                        ends.append((bit, "out", None))
        elif known:
            for pin, capacitance in known.inputs.items():
                load[pins.get(pin)] += capacitance
            if known.clock:
                registers.append((known, pins))
                ends += [(pins[pin], "reg", tables) for pin, tables in known.setup.items() if pin in pins]
            else:
                cells.append((pins, known))
        elif cell["type"].startswith("$_DFF"):
            registers.append((None, pins))
            ends.append((pins["D"], "reg", None))
        else:
            cells.append((pins, None))
    for known, pins in registers:
        if known is None:
            starts["reg"][pins["Q"]] = [(0.0, 0.0, names[pins["Q"]][0], 0)] * 2
            continue
        for pin, arcs in known.arcs.items():
            if pin in pins:
                bit, both = pins[pin], [None, None]
                for arc in (arc for arc in arcs if arc.source == known.clock):
                    for rising in (True, False):
                        both[rising] = (
                            arc.delays[rising](_SLEW, load[bit]), arc.slews[rising](_SLEW, load[bit]), names[bit][0], 1,
                        )
                starts["reg"][bit] = both
    order = _ordered(cells)
    paths: dict[str, Path] = {}
    for start, first in starts.items():
        arrivals = _propagate(order, first, load)
        for bit, end, setups in ends:
            for arrival in arrivals.get(bit) or ():
                if arrival is None:
                    continue
                delay = arrival[0] + max((table(arrival[1], _SLEW) for table in setups or ()), default=0.0)
                kind = KINDS[start, end]
                if kind not in paths or delay > paths[kind].delay:
                    paths[kind] = Path(delay, arrival[2], names[bit][0], arrival[3])
    return paths


def _ordered(cells: list) -> list:
    """Combinational cells, each behind what drives it, as (output bit, [(input bit, arc or None)])."""
    drivers, waiting, users = {}, {}, defaultdict(list)
    for pins, known in cells:
        outputs = known.outputs if known else [pin for pin in _OUTPUTS if pin in pins]
        for pin in outputs:
            if pin not in pins:
                continue
            if known:
                edges: list[tuple[int, Arc | None]] = [(pins[arc.source], arc) for arc in known.arcs[pin] if arc.source in pins]
            else:
                edges = [(bit, None) for other, bit in pins.items() if other != pin]
            drivers[pins[pin]] = edges
    for bit, edges in drivers.items():
        sources = {source for source, _ in edges if source in drivers}
        waiting[bit] = len(sources)
        for source in sources:
            users[source].append(bit)
    ready = [bit for bit, count in waiting.items() if not count]
    order = []
    while ready:
        bit = ready.pop()
        order.append((bit, drivers[bit]))
        for user in users[bit]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    assert len(order) == len(drivers), "a combinational loop"
    return order


def _propagate(order: list, first: dict, load: dict) -> dict[int, list[_Arrival | None]]:
    arrivals = dict(first)
    for bit, edges in order:
        both: list[_Arrival | None] = [None, None]
        drives = load[bit]
        for source, arc in edges:
            before = arrivals.get(source)
            if before is None:
                continue
            if arc is None:
                for edge in (0, 1):
                    if before[edge] is not None and (both[edge] is None or before[edge][0] + 1 > both[edge][0]):
                        both[edge] = (before[edge][0] + 1, 0.0, before[edge][2], before[edge][3] + 1)
                continue
            for edge_in, edge_out in arc.edges:
                arrival = before[edge_in]
                if arrival is None:
                    continue
                time = arrival[0] + arc.delays[edge_out](arrival[1], drives)
                slew = arc.slews[edge_out](arrival[1], drives)
                kept = both[edge_out]
                if kept is None or time > kept[0]:
                    both[edge_out] = (time, max(slew, kept[1]) if kept else slew, arrival[2], arrival[3] + 1)
                elif slew > kept[1]:
                    both[edge_out] = (kept[0], slew, *kept[2:])
        if both != [None, None]:
            arrivals[bit] = both
    return arrivals
