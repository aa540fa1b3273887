"""Buffer trees behind flip-flops: ABC sees their outputs as ideal inputs, and leaves what they drive to whoever places them."""

from collections import defaultdict

from sim.synthesis.liberty import Cell, Library

__all__ = ["buffer_registers"]

#: pF that a flip-flop may drive by itself, and that each buffer behind it drives.
_LIMIT, _SHARE = 0.12, 0.06


def buffer_registers(module: dict, library: Library) -> int:
    """Splits the nets of a module of Yosys's JSON that flip-flops drive beyond their strength; returns how many buffers that took."""
    buffer = _best_buffer(library)
    if buffer is None:
        return 0
    source, target = next(iter(buffer.inputs)), next(iter(buffer.outputs))
    sinks, roots = defaultdict(list), []
    highest = max((bit for net in module["netnames"].values() for bit in net["bits"] if not isinstance(bit, str)), default=1)
    for name, cell in module["cells"].items():
        known = library.cells.get(cell["type"])
        if known is None:
            continue
        for pin, bits in cell["connections"].items():
            if pin in known.inputs:
                sinks[bits[0]].append((known.inputs[pin], name, pin))
            elif known.clock:
                roots.append(bits[0])
    added = 0
    for root in roots:
        ends = sinks[root]
        while sum(capacitance for capacitance, *_ in ends) > _LIMIT:
            # One level: groups of ends, each behind a buffer that becomes an end itself.
            groups: list[list] = [[]]
            filled = 0.0
            for end in ends:
                if groups[-1] and filled + end[0] > _SHARE:
                    groups.append([])
                    filled = 0.0
                groups[-1].append(end)
                filled += end[0]
            following = []
            for group in groups:
                highest += 1
                added += 1
                name = f"$fanout${added}"
                module["cells"][name] = {
                    "type": buffer.name, "port_directions": {source: "input", target: "output"},
                    "connections": {source: [root], target: [highest]},
                }
                module["netnames"][name] = {"bits": [highest], "hide_name": 1}
                for _, cell, pin in group:
                    module["cells"][cell]["connections"][pin] = [highest]
                following.append((buffer.inputs[source], name, source))
            if len(following) >= len(ends):
                break
            ends = following
    return added


def _best_buffer(library: Library) -> Cell | None:
    """The fastest buffer at the load that each gets, for its own input's sake: delay plus what its input adds to the net before it."""
    buffers = [
        cell for cell in library.cells.values()
        if len(cell.inputs) == len(cell.outputs) == 1 and not cell.clock and set(cell.outputs.values()) == set(cell.inputs)
        and all(cell.arcs.values())
    ]  # fmt: skip

    def cost(cell: Cell) -> float:
        delay = max(table(0.05, _SHARE) for arcs in cell.arcs.values() for arc in arcs for table in arc.delays.values())
        return delay + 10 * next(iter(cell.inputs.values()))

    return min(buffers, key=cost, default=None)
