"""The runs behind docs/generated/dimm-pim-results.md: probes of the reference machine's memory modules."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from l3sim.errors import InvalidInput
from l3sim.launch.probe.attention import probe, with_attention
from l3sim.launch.probe.calls import Call, DimmCaller
from l3sim.placement import layout_of
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.model import ModelShape

MACHINE = "l3-dgx-a100"
MODELS = ("gpt-175b", "opt-66b", "qwen-72b")
CONTEXTS = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
BATCHES = (1, 4, 16, 64, 256)
#: (batch, context) of the comparisons; all models fit.
CASES = ((16, 1024), (16, 8192))
#: Contexts of one head group for the N_hc table: beyond the first segment of every shape.
LONG = 16384
QUERIES, CHIPS = (1, 4, 8, 16), (1, 2, 4, 8)
#: CCD_S of slower and slower outer buses: at N_hc = 8 and MHA, T_comm / T_comp is a quarter of it.
BUSES = (3, 4, 5, 6, 7, 8)

#: What each mechanism is worth: the same with it gone, or another one in its place.
SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "as the machine file says": {},
    "`pipelining: false`": {"pipelining": False},
    "`pipelining: false`, `chunk_tokens: 512`": {"pipelining": False, "chunk_tokens": 512},
    "`overlap_heads: false`": {"overlap_heads": False},
    "`all_bank_faw: obey`": {"all_bank_faw": "obey"},
    "`mac_interval_tck: 12`": {"mac_interval_tck": 12},
    "`refresh: false`": {"refresh": False},
    "`relayout: cpu`": {"relayout": "cpu"},
    "`pu: rank`": {"pu": "rank"},
    "`n_hc: 1`": {"n_hc": 1},
    "`n_hc: 2`": {"n_hc": 2},
    "`n_hc: 4`": {"n_hc": 4},
    "`n_hc: 8`": {"n_hc": 8},
    "`n_cmr: 1`": {"n_cmr": 1},
    "`host_transfer_bytes: 4096`": {"host_transfer_bytes": 4096},
}


def ask(model: str, batch: int, context: int, **settings: Any) -> dict[str, Any] | None:
    """A probe's answer; None where the requests do not fit the machine."""
    machine = with_attention(load_machine(MACHINE), settings)
    try:
        return probe(machine, load_model(model), batch, context)
    except InvalidInput as error:
        if error.violations[0][0] != "--context":
            raise
        return None


def grid(level: str) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Answers by (model, batch, context), those that fit."""
    points = {
        (model, batch, context): ask(model, batch, context, level=level)
        for model in MODELS
        for context in CONTEXTS
        for batch in BATCHES
    }
    return {point: answer for point, answer in points.items() if answer is not None}


def switches() -> dict[tuple[str, int, int], dict[str, dict[str, Any]]]:
    """Answers of level command by (model, batch, context) and switch."""
    found = {}
    for model in MODELS:
        for batch, context in CASES:
            answers = {
                name: ask(model, batch, context, level="command", **settings)
                for name, settings in SWITCHES.items()
            }
            found[model, batch, context] = {name: one for name, one in answers.items() if one is not None}
    return found


def chips_per_head() -> dict[tuple[int, int, bool], Call]:
    """One head group over LONG tokens by (queries a KV head, N_hc, pipelining); level command."""
    machine, found = load_machine(MACHINE), {}
    shape = load_model("llama-2-70b")
    for queries in QUERIES:
        model = ModelShape(**{**msgspec.structs.asdict(shape), "kv_heads": shape.heads // queries})
        for chips in CHIPS:
            for pipelining in (True, False):
                settings = {"level": "command", "n_hc": chips, "pipelining": pipelining}
                pim = with_attention(machine, settings).attention
                caller = DimmCaller(pim, model, layout_of(pim, model, 8, 1))
                found[queries, chips, pipelining] = caller.call(np.array([LONG]))
    return found


def buses() -> dict[int, Call]:
    """One head group of MHA over LONG tokens at N_hc = 8, by CCD_S; level command."""
    machine, model, found = load_machine(MACHINE), load_model("gpt-175b"), {}
    for cycles in BUSES:
        burst = {"ccd_s_tck": cycles, "bl_tck": min(cycles, machine.attention.bl_tck)}
        pim = with_attention(machine, {"level": "command", "n_hc": 8, **burst}).attention
        found[cycles] = DimmCaller(pim, model, layout_of(pim, model, 8, 1)).call(np.array([LONG]))
    return found
