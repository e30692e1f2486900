"""How far level `fast` is from level `command`: `python -m benchmarks.fidelity`, a page on stdout.

Draws kernels (queries of a KV head, N_hc, every switch) and calls (contexts, requests on a rank) at random,
costs each at both levels, and reports the worst. Written to docs/generated/dimm-fidelity.md with `--out`.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.services.dram.command.columns import COMMANDS, Took
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.build import build
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.catalog import load_machine, load_model
from l3sim.units import Int64s

MOST_TOKENS, MOST_REQUESTS = 131_072, 512
#: What level `fast` is to keep: the larger of both.
ALLOWED_SHARE, ALLOWED_TCK = 0.005, 2
#: Each switch with the values that are drawn; the first is the reference machine's, drawn half the time.
SWITCHES: Mapping[str, Sequence[Any]] = {
    "pu": ("bank", "rank"),
    "pipelining": (True, False),
    "overlap_heads": (True, False),
    "relayout": ("unit", "cpu"),
    "all_bank_faw": ("obey", "exempt"),
    "host_transfer_bytes": (0, 64, 100_000),
    "refresh": (True, False),
    "refresh_phase": (0.0, 0.5, 0.99),
    "result_bytes": (4, 2),
    "result_buffer_bytes": (512, 128),
    "score_buffer_bytes": (524_288, 65_536),
    "n_cmr": (None, 1, 4),
}
QUERIES, CHIPS = (1, 4, 8, 16), (1, 2, 4, 8)


@dataclass(frozen=True)
class Sample:
    """One call at both levels; cycles in tCK."""

    settings: Mapping[str, Any]
    requests: int
    tokens: int
    commands: int
    fast_tck: int
    command_tck: int

    @property
    def gap_tck(self) -> int:
        """How far they are apart."""
        return abs(self.fast_tck - self.command_tck)

    @property
    def share(self) -> float:
        """The same, of the command level's."""
        return self.gap_tck / self.command_tck

    @property
    def within(self) -> bool:
        """Whether the gap is allowed."""
        return self.gap_tck <= max(ALLOWED_SHARE * self.command_tck, ALLOWED_TCK)


def kernel_with(settings: Mapping[str, Any]) -> Kernel:
    """The kernel of 8 KV heads with so many `queries`, on the reference machine with other switches.

    Raises:
        InvalidInput: they do not go together.
    """
    keys = {key: value for key, value in settings.items() if key != "queries"}
    pim = msgspec.structs.replace(load_machine("l3-dgx-a100").attention, **keys)
    shape = msgspec.structs.replace(load_model("llama-2-70b"), heads=8 * settings["queries"], kv_heads=8)
    return kernel_of(pim, shape, layout_of(pim, shape, 1, 1))


def draw_kernels(rng: np.random.Generator, count: int) -> Iterator[tuple[dict[str, Any], Kernel]]:
    """So many settings that go together, with their kernels; every four have all queries and all N_hc."""
    made = 0
    while made < count:
        settings = {"queries": QUERIES[made % 4], "n_hc": CHIPS[(made + made // 4) % 4]}
        for key, (usual, *others) in SWITCHES.items():
            settings[key] = usual if rng.random() < 0.5 else others[rng.integers(len(others))]
        try:
            yield settings, kernel_with(settings)
        except InvalidInput:
            continue
        made += 1


def draw_tokens(rng: np.random.Generator, table: AttendTable, most: int) -> Int64s:
    """Tokens of the head groups of one call, of at most so many commands; sizes of every order alike."""
    context, requests = np.exp(rng.random(2) * np.log([MOST_TOKENS, MOST_REQUESTS]))
    tokens = np.exp(rng.random(round(requests)) * np.log(context)).round().astype(np.int64)
    tokens[0] = round(context)
    commands = np.cumsum(table.groups(tokens)[:, COMMANDS].sum(axis=1))
    while commands[0] > most:
        tokens[0] //= 2
        commands = np.cumsum(table.groups(tokens)[:, COMMANDS].sum(axis=1))
    fit: Int64s = tokens[: int(np.searchsorted(commands, most, side="right"))]
    return fit


def samples(seed: int, kernels: int, points: int, most: int) -> Iterator[Sample]:
    """Calls at both levels: so many of each kernel, one of them with a single head group."""
    rng = np.random.default_rng(seed)
    for settings, kernel in draw_kernels(rng, kernels):
        table = build(kernel)
        for point in range(points):
            tokens = draw_tokens(rng, table, most)[: 1 if point == 0 else None]
            fast: Took = table.call(tokens)
            seen = attend(kernel, tokens.tolist())
            commands = int(seen.values[COMMANDS].sum())
            yield Sample(settings, len(tokens), int(tokens.sum()), commands, fast.cycles, seen.cycles)


def page(found: Sequence[Sample], command: str) -> str:
    """The report: worst cases, and the worst of each setting."""
    singles = [sample for sample in found if sample.requests == 1]
    exact = sum(sample.gap_tck == 0 for sample in found)
    lines = [
        "# How far level `fast` is from level `command`",
        "",
        f"Made by `{command}`.",
        "",
        f"{len(found):,} attend calls on one rank of `l3-dgx-a100`, drawn at random and run at both levels:",
        f"1 to {MOST_REQUESTS} head groups, contexts from 1 to {MOST_TOKENS:,} tokens, every switch.",
        "",
        f"- Commands: {min(s.commands for s in found):,} to {max(s.commands for s in found):,} a call, "
        f"{sum(s.commands for s in found):,} in all.",
        f"- Equal to the cycle: {exact:,} of {len(found):,}; of {len(singles):,} calls of one head group, "
        f"{sum(s.gap_tck == 0 for s in singles):,}.",
        f"- Largest gap: {max(s.gap_tck for s in found):,} tCK; "
        f"largest share: {max(s.share for s in found):.5%}.",
        f"- Beyond max({ALLOWED_SHARE:.1%}, {ALLOWED_TCK} tCK): {sum(not s.within for s in found)}.",
        "",
        "## The worst",
        "",
        *_worst(found),
        "",
        "## By setting",
        "",
        *_by_setting(found),
    ]
    return "\n".join(lines) + "\n"


def _worst(found: Sequence[Sample]) -> Iterator[str]:
    yield "| fast, tCK | command, tCK | gap, tCK | gap | requests | tokens | what differs from the machine |"
    yield "|---:|---:|---:|---:|---:|---:|---|"
    for sample in sorted(found, key=lambda one: (-one.share, one.command_tck))[:10]:
        other = [f"{k} {v}" for k, v in sample.settings.items() if k not in SWITCHES or v != SWITCHES[k][0]]
        yield (
            f"| {sample.fast_tck:,} | {sample.command_tck:,} | {sample.gap_tck} | {sample.share:.5%} "
            f"| {sample.requests} | {sample.tokens:,} | {', '.join(other)} |"
        )


def _by_setting(found: Sequence[Sample]) -> Iterator[str]:
    yield "| setting | value | calls | largest gap, tCK | largest share |"
    yield "|---|---|---:|---:|---:|"
    for key in found[0].settings:
        values: Iterable[Any] = dict.fromkeys(sample.settings[key] for sample in found)
        for value in sorted(values, key=str):
            of = [sample for sample in found if sample.settings[key] == value]
            gap, share = max(s.gap_tck for s in of), max(s.share for s in of)
            yield f"| {key} | {value} | {len(of)} | {gap} | {share:.5%} |"


def main(argv: Sequence[str]) -> int:
    """Sample, and print or write the page; 1 if a gap is beyond what is allowed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("--kernels", type=int, default=16, help="how many settings")
    parser.add_argument("--points", type=int, default=12, help="calls of each")
    parser.add_argument("--most", type=int, default=20_000_000, help="commands of a call")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the page; default: stdout")
    arguments = parser.parse_args(argv)
    found = list(samples(arguments.seed, arguments.kernels, arguments.points, arguments.most))
    text = page(found, " ".join(["python -m benchmarks.fidelity", *argv]))
    if arguments.out:
        arguments.out.write_text(text)
    else:
        print(text, end="")
    return 0 if all(sample.within for sample in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
