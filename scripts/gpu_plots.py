"""Plots of measured and predicted times as SVG; the same numbers, the same bytes."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l3sim.specs.config import CalibratedGpuConfig, MeasuredGpuConfig
from l3sim.units import Floats
from scripts.gpu_profiles import Profile
from scripts.kernel_tables import Rows

#: No random ids and no date; text stays text.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "l3sim",
    "svg.fonttype": "none",
    "font.size": 8,
    "path.simplify": False,
}


def plot_layers(path: Path, profile: Profile, gpu: CalibratedGpuConfig) -> None:
    """Time of a layer over tokens, and the error below, a column a TP degree."""
    degrees = sorted(set(profile.tp.tolist()))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(degrees), figsize=(11, 4), sharex=True, sharey="row", height_ratios=(2, 1), squeeze=False
        )
        for (top, bottom), tp in zip(axes.T, degrees, strict=True):
            lines = profile.where(profile.tp == tp)
            predicted, measured = lines.layer_us(gpu)
            top.set_title(f"{profile.name}, TP {tp:.0f}")
            _pair(top, lines.tokens, measured, predicted)
            bottom.plot(lines.tokens, (predicted / measured - 1) * 100, color="C3", linewidth=0.8)
            bottom.axhline(0, color="black", linewidth=0.5)
            bottom.set(ylim=(-30, 30), xlabel="tokens")
        axes[0][0].set_ylabel("a layer, us")
        axes[1][0].set_ylabel("error, %")
        axes[0][0].legend()
        _save(figure, path)


def plot_all_reduces(path: Path, rows: Rows, gpu: MeasuredGpuConfig) -> None:
    """Time over bytes, a column a number of ranks."""
    counts = sorted(set(rows.sizes[0].tolist()))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(counts), figsize=(11, 3), sharey=True, squeeze=False)
        for axis, ranks in zip(axes[0], counts, strict=True):
            some = rows.where(rows.sizes[0] == ranks)
            axis.set_title(f"{rows.gpu}, {rows.kind}, {ranks:.0f} GPUs")
            order = np.argsort(some.sizes[1], kind="stable")
            _pair(axis, some.sizes[1][order], some.measured_us[order], some.predicted_us(gpu)[order])
            axis.set(xlabel="bytes")
        axes[0][0].set_ylabel("us")
        axes[0][0].legend()
        _save(figure, path)


def _pair(axis: Axes, across: Floats, measured: Floats, predicted: Floats) -> None:
    axis.plot(across, measured, color="0.6", linewidth=1.5, label="measured")
    axis.plot(across, predicted, color="C0", linewidth=0.8, label="predicted")
    axis.set(xscale="log", yscale="log")
    axis.minorticks_off()  # they would be half of the file


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    # A tenth of a point is enough, and lines need no blanks at their ends.
    text = re.sub(r"(\d\.\d)\d+", r"\1", path.read_text())
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
