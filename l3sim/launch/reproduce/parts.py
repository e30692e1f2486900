"""Figures of single parts: a module's attention, and what transfers add to a round.

Module, by the DRAM commands of one layer of one request on every rank: time over naive bank level, which
collects when all of a chunk is computed (no pipelining) and has its elements put in place by the CPU. Link:
the gap between tokens of equal requests, over the same with transfers that take no time, without and with
rankset-granular overlap; prompts beside them are left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from l3sim.launch.probe.attention import probe, with_attention
from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS
from l3sim.launch.reproduce.published import Published
from l3sim.launch.reproduce.runs import Outcomes, Run
from l3sim.specs.catalog import load_machine, load_model

#: (what, published, ours as published or None, ours by our models or None, source).
Row = tuple[str, float, float | None, float | None, str]
_NAIVE: Mapping[str, Any] = {"pipelining": False, "relayout": "cpu"}
_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "relayout": {"pipelining": False, "relayout": "unit"},
    "pipelining": {"pipelining": True, "relayout": "cpu"},
    "rank": {"pu": "rank", "relayout": "cpu"},
}
_NAMES = {"relayout": "re-layout unit", "pipelining": "pipelining", "rank": "rank level"}
_OUTPUT = 1000
#: As good as no time: bytes a second.
_FREE = "1e15"


def module_rows(published: Published) -> Iterator[Row]:
    """Our modules at level `fast`."""
    plain = load_machine("l3-dgx-a100")
    for row in published.module:
        model = load_model(row["model"])
        for at, tokens in enumerate(row["tokens"]):
            naive, *times = (
                probe(with_attention(plain, keys), model, 1, tokens)["attention_us"]
                for keys in (_NAIVE, *_CHANGES.values())
            )
            for name, time_us in zip(_CHANGES, times, strict=True):
                what = f"{row['model']}, {tokens} tokens: {_NAMES[name]}"
                yield what, row[name][at], None, time_us / naive, row["source"]


def _runs(row: Mapping[str, Any], of: str) -> dict[str, Run]:
    """Without overlap, with it, and with a link that takes no time."""
    free = (
        ("link.pcie_bytes_per_s", _FREE),
        ("link.channel_bytes_per_s", _FREE),
        ("link.setup_us", "0.0"),
    )
    of_link = {"without": (("link.overlap", "off"),), "with": (), "free": free}
    # Outputs so long that most gaps have no prompt beside them, around the published number of tokens.
    name, work = f"l3-{of}", f"fixed:{row['tokens'] - _OUTPUT // 2}:{_OUTPUT}"
    return {
        key: Run(name, work, row["model"], "fill", row["decoding"], settings)
        for key, settings in of_link.items()
    }


def link_runs(published: Published) -> Iterator[Run]:
    """All runs of `link_rows`."""
    for row in published.link:
        for of in (AS_PUBLISHED, OURS):
            yield from _runs(row, of).values()


def link_rows(published: Published, outcomes: Outcomes) -> Iterator[Row]:
    """Overheads in % of a round."""
    for row in published.link:
        for key in ("without", "with"):
            found: list[float | None] = []
            for of in (AS_PUBLISHED, OURS):
                runs = _runs(row, of)
                one, free = outcomes.get(runs[key]), outcomes.get(runs["free"])
                gap = None if one is None else one.tbt_p50_s
                ideal = None if free is None else free.tbt_p50_s
                found.append(100 * (1 - ideal / gap) if gap and ideal else None)
            what = f"{row['model']}, {row['decoding']} x {row['tokens']} tokens, {key} overlap: % of a round"
            yield what, row[key], found[0], found[1], row["source"]
