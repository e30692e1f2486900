"""Where KV lies: the layout of docs/models.md, walked layer by layer and group by group."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.placement import kv_room_bytes, layout_of, rank_assignments
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.config import DimmPimConfig
from l3sim.specs.dimm_pim import STRIPE_TOKENS, chips_per_head
from l3sim.testing.builders import small_layout, small_model

REFERENCE = load_machine("l3-dgx-a100").attention
MINI = load_machine("l3-mini").attention


def pim(base: DimmPimConfig = REFERENCE, **settings: Any) -> DimmPimConfig:
    machine = load_machine("l3-dgx-a100" if base is REFERENCE else "l3-mini")
    made = machine.with_settings((f"attention.{key}", value) for key, value in settings.items()).attention
    assert isinstance(made, DimmPimConfig)
    return made


LAYOUTS = st.builds(
    small_layout,
    ranksets=st.integers(1, 4),
    ranks=st.integers(1, 4),
    groups=st.integers(1, 7),
    heads_per_group=st.integers(1, 3),
)


@settings(max_examples=80, derandomize=True)
@given(LAYOUTS, st.integers(1, 7))
def test_counts_are_those_of_a_walk(layout: Any, layers: int) -> None:
    for o in range(layout.ranksets):
        for b in range(layout.ranks):
            size: Counter[tuple[int, int]] = Counter()
            on_rank: Counter[int] = Counter()
            on_rankset: Counter[int] = Counter()
            for layer in range(layers):
                on_rankset[(o + layer) % layout.ranksets] += 1
                for group in range(layout.groups):
                    at = (o + layer) % layout.ranksets, (b + group) % layout.ranks
                    size[at] += 1
            for group in range(layout.groups):
                on_rank[(b + group) % layout.ranks] += 1
            assert layout.group_counts[b].tolist() == [on_rank[r] for r in range(layout.ranks)]
            assert layout.layer_counts(layers)[o].tolist() == [on_rankset[j] for j in range(layout.ranksets)]
            expected = [size[j, r] for j in range(layout.ranksets) for r in range(layout.ranks)]
            assert layout.pieces(layers)[o * layout.ranks + b].tolist() == expected


@settings(max_examples=80, derandomize=True)
@given(LAYOUTS, st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(0, 300), max_size=5))
def test_stripes_are_dealt_as_by_hand(layout: Any, block: int, blocks: int, tokens: list[int]) -> None:
    striped = replace(layout, kv_block_tokens=block, stripe_tokens=block * blocks)
    counts = np.array(tokens, dtype=np.int64)
    for one, dealt, held in zip(
        tokens, striped.step_tokens(counts).tolist(), striped.ranks_held(counts).tolist(), strict=True
    ):
        by_hand = [0] * layout.ranks
        for token in range(one):
            by_hand[token // (block * blocks) % layout.ranks] += 1
        assert (dealt, held) == (by_hand, sum(count > 0 for count in by_hand))
    assert (
        striped.step_blocks(counts).tolist()
        == replace(layout, stripe_tokens=blocks).step_tokens(counts).tolist()
    )
    assert layout.step_tokens(counts).tolist() == [[one] for one in tokens]
    assert layout.ranks_held(counts).tolist() == [min(one, 1) for one in tokens]


def test_stripes_are_whole_blocks() -> None:
    shape = load_model("qwen-72b")
    assert layout_of(pim(stripe_tokens=128), shape, 4, 2).stripe_tokens == 0
    assert layout_of(pim(partition="block", stripe_tokens=128), shape, 4, 2).stripe_tokens == 128
    ours = layout_of(pim(partition="block"), shape, 4, 2)
    assert ours.stripe_tokens == STRIPE_TOKENS
    # Blocks that are longer than that are a stripe each.
    longer = layout_of(pim(partition="block", kv_block_tokens=STRIPE_TOKENS * 3), shape, 4, 2)
    assert longer.stripe_tokens == STRIPE_TOKENS * 3
    for tokens in (1, 63, 100):
        expected = (
            "attention.stripe_tokens: a KV block has 64 tokens (attention.kv_block_tokens); "
            f"use a multiple of that, not {tokens}"
        )
        with pytest.raises(InvalidInput, match=re.escape(expected)):
            layout_of(pim(partition="block", stripe_tokens=tokens), shape, 4, 2)


@pytest.mark.parametrize("tokens", [0, -64, 1_000_001])
def test_stripes_out_of_range_are_refused(tokens: int) -> None:
    with pytest.raises(InvalidInput, match=r"attention\.stripe_tokens: .*Expected `int` [<>]= "):
        pim(partition="block", stripe_tokens=tokens)


@pytest.mark.parametrize("name", ["hbm-pim-dgx-a100", "cpu-dgx-a100", "gpu-only-dgx-a100"])
def test_modules_without_ranks_have_no_stripes(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"attention\.partition: has no partition: .* only dimm-pim"):
        load_machine(name).with_settings([("attention.partition", "block")])


@settings(max_examples=80, derandomize=True)
@given(LAYOUTS, st.integers(1, 9))
def test_interleaving_makes_ranksets_equal_within_one_layer_and_ranks_within_one_group(
    layout: Any, layers: int
) -> None:
    """So a block more or less of a layer's head groups is all that a request's ranks differ by."""
    for placed in layout.pieces(layers).reshape(-1, layout.ranksets, layout.ranks):
        by_rankset = placed.sum(axis=1)
        assert by_rankset.max() - by_rankset.min() == (layout.groups if layers % layout.ranksets else 0)
        for rankset in placed:
            on_it = by_rankset.max() // layout.groups
            assert rankset.max() - rankset.min() <= (on_it if layout.groups % layout.ranks else 0)


@pytest.mark.parametrize(
    ("model", "settings", "tokens", "block_bytes"),
    [
        # 1,024 B x 16 banks x 8 chips = 128 KiB for K and as much for V: 512 tokens of one head, 64 of eight.
        ("gpt-175b", {}, 512, 2**18),
        ("qwen-72b", {}, 64, 2**18),
        ("gpt-175b", {"n_hc": 1}, 64, 2**18),
        ("gpt-175b", {"row_bytes": 2048}, 1024, 2**19),
        ("gpt-175b", {"kv_block_tokens": 2048}, 2048, 2**20),
        ("gpt-175b", {"kv_block_tokens": 16}, 16, 2**13),
        ("gpt-175b", {"kv_block_tokens": 1}, 1, 512),
    ],
)
def test_a_block_is_whole_rows_or_a_whole_share_of_one(
    model: str, settings: dict[str, Any], tokens: int, block_bytes: int
) -> None:
    shape = load_model(model)
    layout = layout_of(pim(**settings), shape, 8, 1)
    assert (layout.kv_block_tokens, layout.block_bytes(shape)) == (tokens, block_bytes)


def test_what_a_row_cannot_hold_of_an_odd_head_is_lost() -> None:
    # A row holds 819 tokens of 160 B and 32 B more.
    shape = small_model(heads=8, kv_heads=8, head_size=80)
    layout = layout_of(pim(n_hc=8), shape, 1, 1)
    assert (layout.kv_block_tokens, layout.block_bytes(shape)) == (819, 2**18)
    twice = layout_of(pim(n_hc=8, kv_block_tokens=1638), shape, 1, 1)
    assert twice.block_bytes(shape) == 2**19


@pytest.mark.parametrize("tokens", [3, 511, 513, 768])
def test_blocks_that_do_not_go_with_rows_are_refused(tokens: int) -> None:
    text = (
        "attention.kv_block_tokens: a row of all banks holds 512 tokens of a head group; "
        f"use a divisor or a multiple of that, not {tokens}"
    )
    with pytest.raises(InvalidInput) as caught:
        layout_of(pim(kv_block_tokens=tokens), load_model("gpt-175b"), 8, 1)
    assert str(caught.value) == text


@given(st.integers(1, 20), st.integers(1, 2000))
def test_blocks_are_the_fewest_that_hold_the_tokens(size: int, tokens: int) -> None:
    layout = small_layout(kv_block_tokens=size)
    (blocks,) = layout.blocks(np.array([tokens])).tolist()
    assert (blocks - 1) * size < tokens <= blocks * size


@settings(max_examples=50, derandomize=True)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 5))
def test_heads_of_groups_and_channels(kv_heads: int, per_group: int, ranks: int) -> None:
    layout = small_layout(ranks=ranks, groups=-(-kv_heads // per_group), heads_per_group=per_group)
    groups = [min(per_group, kv_heads - first) for first in range(0, kv_heads, per_group)]
    assert layout.group_heads(kv_heads).tolist() == groups
    for first in range(ranks):
        heads: Counter[int] = Counter()
        for group, count in enumerate(groups):
            heads[(first + group) % ranks] += count
        assert layout.channel_heads(kv_heads)[first].tolist() == [heads[r] for r in range(ranks)]


@pytest.mark.parametrize(
    ("model", "tp", "dp", "expected"),
    [
        # (ranks of a replica's rankset, heads a group, groups, N_hc, N_cmr); N_hc 8 for MHA, 1 for GQA-8.
        ("gpt-175b", 8, 1, (16, 1, 96, 8, 1)),
        ("opt-66b", 2, 4, (4, 1, 72, 8, 1)),
        ("llama-2-7b", 1, 8, (2, 1, 32, 8, 1)),
        ("llama-2-70b", 4, 2, (8, 8, 1, 1, 8)),
        ("qwen-72b", 4, 2, (8, 8, 1, 1, 8)),
    ],
)
def test_published_models_on_the_reference_machine(
    model: str, tp: int, dp: int, expected: tuple[int, ...]
) -> None:
    layout = layout_of(REFERENCE, load_model(model), tp, dp)
    found = (layout.ranks, layout.heads_per_group, layout.groups, layout.chips_per_head)
    assert (*found, layout.queries_per_read) == expected
    assert (layout.ranksets, layout.tp, layout.dp) == (4, tp, dp)


def test_the_bound_doubles_with_half_sums() -> None:
    """Collected sums are FP32; with 2 bytes the bounds 8 and 1 double."""
    mha, gqa = load_model("gpt-175b"), load_model("llama-2-70b")
    assert (chips_per_head(REFERENCE, mha, 1), chips_per_head(REFERENCE, gqa, 8)) == (8, 1)
    half = pim(result_bytes=2)
    # 16 is beyond the chips of a rank.
    assert (chips_per_head(half, mha, 1), chips_per_head(half, gqa, 8)) == (8, 2)
    # Without sharing reads, GQA computes eight times as long, so that the bound is that of MHA.
    assert chips_per_head(REFERENCE, gqa, 1) == 8
    assert chips_per_head(pim(ccd_s_tck=100_000), gqa, 8) == 1


def test_settings_win() -> None:
    layout = layout_of(pim(n_hc=4, n_cmr=2), load_model("llama-2-70b"), 4, 2)
    assert (layout.chips_per_head, layout.heads_per_group, layout.groups) == (4, 2, 4)
    assert layout.queries_per_read == 2


def test_channels_are_shared_evenly() -> None:
    with pytest.raises(InvalidInput) as refused:
        layout_of(REFERENCE, load_model("llama-2-7b"), 1, 3)
    assert str(refused.value) == "dp: 16 memory channels cannot be shared by 3 replicas; use a divisor"


@pytest.mark.parametrize(("dp", "settings"), [(1, {}), (4, {}), (2, {"ranksets": 2}), (2, {"ranksets": 8})])
def test_assignments_cover_every_rank_once(dp: int, settings: dict[str, Any]) -> None:
    config = pim(**settings)
    layout = layout_of(config, load_model("llama-2-7b"), 1, dp)
    assignments = [
        assignment
        for module in range(config.modules)
        for assignment in rank_assignments(config, layout, module)
    ]
    used = [assignment[:3] for assignment in assignments if not assignment[3]]
    every = {(d, j, r) for d in range(dp) for j in range(layout.ranksets) for r in range(layout.ranks)}
    assert len(used) == len(every)
    assert set(used) == every


def test_modules_sit_two_on_a_channel() -> None:
    """Module m: channel m div 2, slot m mod 2; its rank i belongs to rankset 2 * slot + i."""
    layout = layout_of(REFERENCE, load_model("llama-2-70b"), 4, 2)
    assert rank_assignments(REFERENCE, layout, 0) == [(0, 0, 0, False), (0, 1, 0, False)]
    assert rank_assignments(REFERENCE, layout, 7) == [(0, 2, 3, False), (0, 3, 3, False)]
    assert rank_assignments(REFERENCE, layout, 16) == [(1, 0, 0, False), (1, 1, 0, False)]


def test_fewer_ranksets_leave_ranks_unused_and_take_their_capacity() -> None:
    config = pim(ranksets=2)
    model = load_model("llama-2-70b")
    layout = layout_of(config, model, 4, 2)
    assert layout.ranksets == 2
    assert [assignment[3] for assignment in rank_assignments(config, layout, 0)] == [False, False]
    assert [assignment[3] for assignment in rank_assignments(config, layout, 1)] == [True, True]
    assert kv_room_bytes(config, layout, model) == 32 * 2**30


def test_more_ranksets_than_built_stack_modules_on_fewer_channels() -> None:
    """r/2 slots a channel: 8 ranksets are 4 modules on each of 8 channels."""
    layout = layout_of(pim(ranksets=8), load_model("gpt-175b"), 8, 1)
    assert (layout.ranksets, layout.ranks) == (8, 8)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 32 * 2**30),
        ({"memory_share": 0.5}, 16 * 2**30),
        ({"capacity_bytes": 64 * 1000 + 63}, 1000),
        # All of the capacity on the ranks that are left.
        ({"capacity_bytes": 64_000, "ranksets": 2}, 2000),
        ({"capacity_bytes": 64_000, "memory_share": 0.25}, 250),
    ],
)
def test_room_of_a_rank(settings: dict[str, Any], expected: int) -> None:
    config = pim(**settings)
    model = load_model("gpt-175b")
    assert kv_room_bytes(config, layout_of(config, model, 8, 1), model) == expected


def test_mini_is_a_small_one() -> None:
    model = load_model("llama-2-7b")
    layout = layout_of(MINI, model, 1, 1)
    assert (layout.ranksets, layout.ranks) == (4, 2)
    assert kv_room_bytes(MINI, layout, model) * 8 == 256 * 2**30
