"""N_hc where none is set: what the command level takes, on all models and on any shape.

This tests the defaults of `l3sim/specs/dimm_pim.py`, and what it refuses.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.specs.catalog import load_model
from l3sim.specs.dimm_pim import fits
from tests.root import ROOT
from tests.services.builders import machine, reshaped

SAMPLES = sorted((ROOT / "models" / "samples").glob("*.json"))


@given(
    head_size=st.integers(1, 40).map(lambda eights: 8 * eights),
    queries=st.sampled_from([1, 2, 4, 7, 8, 16, 32, 71]),
    chips=st.sampled_from([1, 2, 4, 8]),
    buffers=st.sampled_from([{}, {"shared_buffer_bytes": 2048}, {"score_buffer_bytes": 4096}]),
)
@settings(max_examples=200, deadline=None)
def test_what_fits_is_what_the_command_level_takes(
    head_size: int, queries: int, chips: int, buffers: dict[str, int]
) -> None:
    pim = machine(
        attention__n_hc=chips, **{f"attention__{key}": value for key, value in buffers.items()}
    ).attention
    shape = reshaped("llama-2-70b", head_size=head_size, heads=8 * queries, kv_heads=8)
    try:
        kernel_of(pim, shape, layout_of(pim, shape, 1, 1))
    except InvalidInput:
        taken = False
    else:
        taken = True
    assert fits(pim, shape, chips) == taken


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_every_model_that_is_shipped_as_a_sample_runs_by_default(file: object) -> None:
    pim, shape = machine().attention, load_model(str(file))
    layout = layout_of(pim, shape, 1, 1)
    kernel_of(pim, shape, layout)
    # No chip is empty for want of KV heads, where one of the allowed numbers can help it.
    if shape.kv_heads > 1:
        assert layout.groups * layout.heads_per_group - shape.kv_heads < layout.heads_per_group


@pytest.mark.parametrize(
    ("name", "chips"),
    [
        ("gpt-neox-20b", 2),  # 96 elements: 12 a chip fill no 16 banks at 8, nor 24 at 4
        ("falcon-7b", 4),  # 71 queries of 64 elements: Q fits the shared buffer of two chips and more
        ("qwen3-30b-a3b", 2),  # the bound is 1, but four KV heads fill the chips at 2
        ("gemma-3-1b", 8),
        ("llama-3.1-8b", 2),
    ],
)
def test_samples_by_hand(name: str, chips: int) -> None:
    pim, shape = machine().attention, load_model(str(ROOT / "models" / "samples" / f"{name}.json"))
    assert layout_of(pim, shape, 1, 1).chips_per_head == chips


def test_published_models_are_at_the_bound() -> None:
    for name, chips in (("gpt-175b", 8), ("opt-66b", 8), ("llama-2-70b", 1), ("qwen-72b", 1)):
        assert layout_of(machine().attention, load_model(name), 1, 1).chips_per_head == chips


@pytest.mark.parametrize(
    ("key", "value", "floor"),
    [
        ("idd0_ma", 40, "47.54"),
        ("idd4r_ma", 51, "52"),
        ("idd4w_ma", 51, "52"),
        ("idd5b_ma", 36, "37"),
        ("idd3n_ma", 36, "37"),
    ],
)
def test_currents_that_would_give_energy_back_are_refused(key: str, value: float, floor: str) -> None:
    with pytest.raises(InvalidInput, match=f"attention.{key}: .*{value} mA are less than {floor} mA"):
        machine(**{f"attention__{key}": value})
