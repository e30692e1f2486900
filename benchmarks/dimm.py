"""How fast the DIMM-PIM levels are: `python -m benchmarks.dimm NAME...`, JSON on stdout.

Each name is one measurement; the best of N turns counts, in CPU time: all of them use one core.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.device import Identity
from l3sim.placement import layout_of, rank_assignments
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.dram.command.columns import COMMANDS
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.build import build
from l3sim.specs.catalog import load_machine, load_model
from l3sim.work import Hello, KvPlacement, RankAssignment, SlotAssignment, SubBatch, Window

#: Model and the tensor parallelism of the reference machine: MHA at N_hc 8, GQA-8 at N_hc 1.
MODELS: Mapping[str, int] = {"gpt-175b": 8, "llama-2-70b": 4}


def kernel(model: str) -> Kernel:
    """The head group of a model on the reference machine."""
    pim, shape = load_machine("l3-dgx-a100").attention, load_model(model)
    return kernel_of(pim, shape, layout_of(pim, shape, MODELS[model], 1))


def best_s(turn: Callable[[], object], turns: int) -> float:
    """CPU seconds of the shortest of `turns` turns, after one that does not count."""
    turn()
    spent = []
    for _ in range(turns):
        began = time.process_time()
        turn()
        spent.append(time.process_time() - began)
    return min(spent)


def command(model: str, turns: int, tokens: int = 131_072) -> dict[str, Any]:
    """Commands a second of level `command`, one head group; writing its program included."""
    of = kernel(model)
    commands = int(attend(of, [tokens]).values[COMMANDS].sum())
    spent = best_s(lambda: attend(of, [tokens]), turns)
    return {"commands": commands, "cpu_s": spent, "commands_per_s": commands / spent}


def window(requests: int, rounds: int, ranksets: int, ranks: int) -> Window:
    """Requests spread over the ranks, with contexts of 500 to 20,000 tokens."""
    rng = np.random.default_rng(0)
    context = rng.integers(500, 20_000, requests)
    places = tuple(KvPlacement(i, i % ranksets, i // ranksets % ranks) for i in range(requests))
    return Window(1, 0, rounds, (SubBatch(0, np.arange(requests), context, ()),), places, (), ())


def fast(model: str, turns: int, modules: int = 32) -> dict[str, Any]:
    """Microseconds a module of level `fast`: 100 requests and 64 rounds, all modules in one session."""
    machine = load_machine("l3-dgx-a100", modules)
    shape = load_model(model)
    layout = layout_of(machine.attention, shape, MODELS[model], 1)
    slots = tuple(
        SlotAssignment(
            f"d{m}",
            f"dimm-{m:02d}",
            machine.section("attention"),
            tuple(
                RankAssignment(*assignment) for assignment in rank_assignments(machine.attention, layout, m)
            ),
        )
        for m in range(modules)
    )
    session = DimmPimDevice([Identity(f"d{m}") for m in range(modules)]).open(
        Hello(PROTOCOL_VERSION, "job", 0, shape, layout, slots)
    )
    asked = window(100, 64, layout.ranksets, layout.ranks)
    spent = best_s(lambda: session.estimate([asked]), turns)
    return {"modules": modules, "cpu_s": spent, "us_per_module": 1e6 * spent / modules}


def table(model: str, turns: int) -> dict[str, Any]:
    """Seconds to build the table of level `fast`."""
    of = kernel(model)
    return {"cpu_s": best_s(lambda: build(of), turns)}


MEASURES: Mapping[str, Callable[[str, int], dict[str, Any]]] = {
    "command": command,
    "fast": fast,
    "table": table,
}
NAMES = tuple(f"{measure}-{model}" for measure in MEASURES for model in MODELS)


def measured(names: Sequence[str], turns: int) -> Iterator[dict[str, Any]]:
    """The figures of each name."""
    for name in names:
        measure, _, model = name.partition("-")
        yield {"name": name, **MEASURES[measure](model, turns)}


def main(argv: Sequence[str]) -> int:
    """Measure what is named, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dimm", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which; default: all of {', '.join(NAMES)}")
    parser.add_argument("--turns", type=int, default=5, help="the best of N turns counts")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        parser.error(f"nothing is called {unknown[0]!r}; there are: {', '.join(NAMES)}")
    for figures in measured(arguments.names or NAMES, arguments.turns):
        print(json.dumps(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
