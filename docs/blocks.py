"""Draws `docs/blocks.svg`, the block diagram: `python docs/blocks.py [FILE.svg or FILE.png]`.

Each box names the file or folder that holds it; one that doesn't exist stops the drawing, so the picture and the folders agree.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.patches import FancyBboxPatch

__all__ = ["draw"]

ROOT = Path(__file__).parents[1]

#: Fill and edge by kind: a frame around blocks, hardware, memory in it, what only a simulation has.
STYLES = {
    "frame": ("#f6f8fb", "#8a97a8"), "block": ("#dbe9f9", "#2f6db0"), "memory": ("#dff1e1", "#3b8a46"), "sim": ("#f3efe6", "#a08447"),
}

#: left, bottom, width, height, kind, title, path, what it does
BOXES = [
    (0, 89, 34, 8, "sim", "host", "sim/bench/host_player.sv", "in simulation: a script of register accesses"),
    (38, 89, 62, 8, "sim", "activity probes", "sim/bench/activity_probe.sv", "one for each engine: cycles by cause, bytes from and to L3"),
    (6, 74, 28, 10, "block", "host block", "rtl/host/", "registers, job queue,\ndispatcher, counters"),
    (0, 60, 34, 9, "block", "host port", "rtl/fabric/host_port.py", "any AXI4 burst to chunk bursts"),
    (38, 34, 62, 50, "frame", "cluster", "rtl/chip.py", ""),
    (41, 38.5, 36, 41, "frame", "", "rtl/sip.py", ""),
    (40, 37.5, 36, 41, "frame", "SIP 0 .. n-1", "rtl/sip.py", ""),
    (42, 64.5, 32, 9.5, "block", "sequencer", "rtl/sequencer/", "loops, registers, events, queues"),
    (42, 50.5, 10, 11, "block", "tensor\ncore", "rtl/tensor/", ""),
    (53, 50.5, 10, 11, "block", "vector\nengine", "rtl/vector/", ""),
    (64, 50.5, 10, 11, "block", "data\nengine", "rtl/data_engine/", ""),
    (42, 39.5, 32, 8, "memory", "L1 scratchpad", "rtl/l1/", "banked, nine ports"),
    (81, 37.5, 17.5, 30, "frame", "cluster unit", "rtl/cluster.py", ""),
    (82.5, 51, 14.5, 8.5, "block", "sequencer", "rtl/sequencer/", ""),
    (82.5, 39.5, 14.5, 8.5, "block", "data engine", "rtl/data_engine/", "L2, L3 only"),
    (81, 71, 17.5, 7.5, "block", "event router", "rtl/sequencer/router.py", ""),
    (0, 21, 100, 8, "block", "AXI4 fabric", "rtl/fabric/", "every master reaches every channel and L2 port; 256-byte chunks interleave"),
    (0, 2, 34, 14, "memory", "L2 scratchpad", "rtl/l2/", "shared; L2 ports\ninterleave by 256 byte"),
    (38, 2, 28, 14, "block", "memory controller", "rtl/memory/", "one per pseudo-channel:\npages, refresh, timing"),
    (72, 2, 28, 14, "sim", "HBM2e device", "sim/hbm/device.sv", "data and timing rules;\nnever synthesised"),
]

#: from, to, label and where it stands, arrow
ARROWS = [
    ((20, 89), (20, 84), "AXI4-Lite, interrupt", (21, 86.5), "<|-|>"),
    ((34, 79), (38, 79), "jobs", (34.3, 80.2), "<|-|>"),
    ((3, 89), (3, 69), "AXI4", (3.6, 71.5), "<|-|>"),
    ((17, 60), (17, 29), "the host reads and\nwrites device memory", (18, 45), "<|-|>"),
    ((47, 64.5), (47, 61.5), "", (0, 0), "<|-|>"),
    ((58, 64.5), (58, 61.5), "", (0, 0), "<|-|>"),
    ((69, 64.5), (69, 61.5), "commands", (60.2, 62.6), "<|-|>"),
    ((52, 56), (53, 56), "", (0, 0), "-|>"),
    ((47, 50.5), (47, 47.5), "", (0, 0), "<|-|>"),
    ((58, 50.5), (58, 47.5), "", (0, 0), "<|-|>"),
    ((69, 50.5), (69, 47.5), "", (0, 0), "<|-|>"),
    ((58, 37.5), (58, 29), "AXI4: programs and data", (59, 31.5), "<|-|>"),
    ((89.75, 51), (89.75, 48), "", (0, 0), "<|-|>"),
    ((89.75, 37.5), (89.75, 29), "", (0, 0), "<|-|>"),
    ((76, 74), (81, 74), "events", (77.1, 72.9), "<|-|>"),
    ((89.75, 71), (89.75, 67.5), "", (0, 0), "<|-|>"),
    ((17, 21), (17, 16), "", (0, 0), "<|-|>"),
    ((52, 21), (52, 16), "", (0, 0), "<|-|>"),
    ((66, 9), (72, 9), "DFI", (67.6, 10.2), "<|-|>"),
]


def draw(path: Path):
    """Raises FileNotFoundError for a box whose file or folder isn't there."""
    matplotlib.rcParams.update({"svg.hashsalt": "minigcu", "font.family": "DejaVu Sans"})
    figure, axis = pyplot.subplots(figsize=(11, 9.4))
    axis.set(xlim=(-1, 101), ylim=(0, 99))
    axis.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    for left, bottom, width, height, kind, title, where, note in BOXES:
        if not (ROOT / where).exists():
            raise FileNotFoundError(f"{title}: {where} does not exist")
        fill, edge = STYLES[kind]
        axis.add_patch(FancyBboxPatch(
            (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.8", facecolor=fill, edgecolor=edge, linewidth=1.3,
            linestyle="--" if kind == "sim" else "-",
        ))
        if kind == "frame":
            if title:
                axis.text(left + 1.2, bottom + height - 1.2, title, fontsize=11, weight="bold", va="top")
                beside = width > 30
                axis.text(
                    left + width - 1.2 if beside else left + 1.2, bottom + height - (1.4 if beside else 4), where, fontsize=8.5,
                    family="DejaVu Sans Mono", color="#445", ha="right" if beside else "left", va="top",
                )
            continue
        small = width < 12
        lines = [(title, 10.5 if small else 11.5, "bold", "DejaVu Sans"), (where, 6.4 if small else 8.5, "normal", "DejaVu Sans Mono")]
        if note:
            lines.append((note, 8.5, "normal", "DejaVu Sans"))
        heights = [(1.05 + 1.25 * text.count("\n") + 0.85) * size / 9 for text, size, *_ in lines]
        top = bottom + height / 2 + sum(heights) / 2
        for (text, size, weight, family), taken in zip(lines, heights, strict=True):
            axis.text(left + width / 2, top - taken / 2, text, fontsize=size, weight=weight, family=family, ha="center", va="center")
            top -= taken
    for begin, end, label, (x, y), style in ARROWS:
        axis.annotate("", end, begin, arrowprops={
            "arrowstyle": style, "color": "#333", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0,
            "mutation_scale": 9,
        })
        if label:
            axis.text(x, y, label, fontsize=8.5, va="center", color="#333")
    figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg"))
