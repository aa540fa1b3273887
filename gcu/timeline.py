"""The timeline picture: a lane per engine, a bar per command, coloured by layer; thin where the engine waits for an event."""

from pathlib import Path

from compiler.compile import Compiled
from gcu.layers import jobs
from rtl.config import ChipConfig
from sim.workload import Outcome

__all__ = ["draw"]

_LANES = ("tensor core", "vector engine", "data engine")


def draw(outcome: Outcome, compiled: Compiled, config: ChipConfig, path: Path) -> Path:
    """Draws the last job of a run; returns the path of the PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    begin, end = (jobs(outcome.records) or [(0, 1)])[-1]
    records = outcome.records[(outcome.records["first"] >= begin) & (outcome.records["first"] <= end) & (outcome.records["lane"] % 4 != 3)]
    units = sorted({int(record["lane"]) // 4 for record in records} or {0})
    lanes = [4 * unit + engine for unit in units for engine in range(3) if unit < config.sips or engine == 2]
    colours = pyplot.get_cmap("tab10")
    figure, axis = pyplot.subplots(figsize=(14, 1.6 + 0.75 * len(lanes)), layout="constrained")
    for place, lane in enumerate(lanes):
        for record in records[records["lane"] == lane]:
            first, length = int(record["first"]) - begin, int(record["last"]) - int(record["first"]) + 1
            colour = colours((int(record["tag"]) - 1) % 10)
            if record["event"]:
                axis.plot([first, first + length], [place, place], color=colour, linewidth=1.5, alpha=0.6, solid_capstyle="butt")
                continue
            # The whole command is pale; its share of useful cycles is drawn full, from the bottom up.
            share = int(record["busy"]) / length
            axis.broken_barh([(first, length)], (place - 0.4, 0.8), facecolors=colour, alpha=0.25)
            axis.broken_barh([(first, length)], (place - 0.4 + 0.8 * (1 - share), 0.8 * share), facecolors=colour)
    names = []
    for lane in lanes:
        unit = "cluster" if lane // 4 == config.sips else f"SIP {lane // 4}"
        names.append(f"{unit} {_LANES[lane % 4]}" if len(units) > 1 else _LANES[lane % 4])
    axis.set_yticks(range(len(lanes)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, end - begin + 1)
    axis.set_xlabel("cycles of the job. Full colour: share of useful cycles in a command. Thin line: the engine waits for an event")
    axis.set_title(f"{compiled.name} on {config.name}: last sample, {end - begin + 1:,} cycles ({outcome.backend} {outcome.version})")
    handles = [Patch(color=colours((layer.tag - 1) % 10), label=layer.name) for layer in compiled.layers]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
