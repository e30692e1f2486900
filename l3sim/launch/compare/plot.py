"""The rooflines of the pair as SVG: token throughput against batch size, a panel a machine."""

from collections.abc import Sequence
from pathlib import Path

from l3sim.errors import InvalidInput
from l3sim.launch.compare.jobs import Compared

#: Batch sizes that a line is drawn through.
POINTS = 200


def check_plot() -> None:
    """Refuse early what could not be drawn.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        text = "needs matplotlib; install it: .venv/bin/pip install -r requirements-dev.lock"
        raise InvalidInput(("--plot", text)) from None


def draw(outcomes: Sequence[Compared], title: str, file: Path) -> None:
    """Write the plot; machines on which the job did not run are left out."""
    import matplotlib as mpl

    mpl.use("svg")
    # Names of elements are random without a salt: the same comparison, the same bytes.
    mpl.rcParams["svg.hashsalt"] = "l3"
    from matplotlib import pyplot as plt

    ran = [one for one in outcomes if one.report is not None and one.rooflines is not None]
    columns = max(len(ran), 1)
    figure, panels = plt.subplots(1, columns, sharey=True, squeeze=False, figsize=(4 * columns, 4))
    most = max((max(one.rooflines.capacity_requests, 1.0) * 4 for one in ran if one.rooflines), default=1.0)
    for one, panel in zip(ran, panels[0], strict=False):
        assert one.report is not None
        assert one.rooflines is not None
        lines, report = one.rooflines, one.report
        batches = [most ** (step / (POINTS - 1)) for step in range(POINTS)]
        panel.plot(batches, [lines.fc_tokens_per_s(batch) for batch in batches], label="FC on the GPUs")
        panel.axhline(lines.attention_tokens_per_s, color="C1", label="attention")
        panel.axvline(lines.capacity_requests, color="C2", linestyle="--", label="KV capacity")
        batch = report.batch.mean_requests * lines.dp
        panel.plot([batch], [report.throughput_tokens_per_s], "k*", markersize=10, label="simulated")
        panel.set(xscale="log", yscale="log", xlabel="requests that decode at once")
        panel.set_title(f"{one.machine}\nlimit: {one.limit}", fontsize=9)
    panels[0][0].set_ylabel("tokens/s")
    if ran:
        panels[0][0].legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
