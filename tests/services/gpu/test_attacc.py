"""Level `attacc` against what AttAcc's public simulator prints, and its tiles by hand."""

from typing import Any

import msgspec
import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.services.gpu.attacc import AttAcc
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import load_gpu, load_group, load_machine, load_model
from l3sim.specs.config import AttAccGpuConfig
from l3sim.specs.model import ModelShape
from l3sim.work import Chunk, Op

GPT = load_model("gpt-175b")
QWEN = load_model("qwen-72b")


def gpus(tp: int, **settings: Any) -> AttAccGpuConfig:
    found = load_group("a100-attacc", tp, settings)
    assert isinstance(found, AttAccGpuConfig)
    return found


def decode_ms(model: ModelShape, tp: int, batch: int, tokens: int, **settings: Any) -> float:
    """All layers of a decoding pass over requests that attend so many tokens."""
    group = GroupCosts(gpus(tp, **settings), model, tp)
    dense = group.dense_ps(Op.BLOCK_IN, batch, batch) + group.dense_ps(Op.BLOCK_OUT, batch, batch)
    return model.layers * (dense + group.attend_decode_ps(np.full(batch, tokens - 1))) / 1e9


@pytest.mark.parametrize(("batch", "milliseconds"), [(7, 67.789), (1, 66.671)])
def test_eight_gpus_decode_gpt_as_the_public_simulator_says(batch: int, milliseconds: float) -> None:
    assert decode_ms(GPT, 8, batch, 9262) == pytest.approx(milliseconds, abs=0.001)


@pytest.mark.parametrize(("batch", "milliseconds"), [(1, 32.85), (16, 39.91), (48, 64.39)])
def test_at_its_own_bandwidth_it_gives_its_own_golden_runs(batch: int, milliseconds: float) -> None:
    assert decode_ms(GPT, 8, batch, 3072, memory_bytes_per_s=3.352e12) == pytest.approx(
        milliseconds, abs=0.01
    )


def test_four_gpus_decode_qwen_without_gate_and_groups_as_its_tables_have_it() -> None:
    plain = msgspec.structs.replace(QWEN, kv_heads=QWEN.heads, gated=False)
    assert decode_ms(plain, 4, 1, 9262) == pytest.approx(45.7, abs=0.05)


def test_keys_and_values_are_read_once_or_for_each_query_head() -> None:
    once = decode_ms(QWEN, 4, 71, 9262)
    each = decode_ms(QWEN, 4, 71, 9262, attacc_kv_reads="query-head")
    attends = GroupCosts(gpus(4), QWEN, 4).attend_decode_ps(np.full(71, 9261)) * QWEN.layers / 1e9
    assert each - once == pytest.approx(264.3 - attends, abs=0.1)
    assert attends == pytest.approx(53.27, abs=0.01)
    assert decode_ms(GPT, 8, 7, 9262, attacc_kv_reads="query-head") == decode_ms(GPT, 8, 7, 9262)


def test_a_tile_is_the_one_with_the_least_traffic_over_all_busy_sms() -> None:
    level = AttAcc(gpus(8), 8)
    # One row times 12,288 x 4,608: 16 columns a block make 288 blocks, in three rounds of 108.
    plan = level.plan(1, 12288, 4608)
    assert plan.used == pytest.approx(288 / 324)
    assert plan.off_chip_bytes == 2 * (12288 + 12288 * 4608 + 4608)


def test_what_l2_cannot_hold_is_read_again() -> None:
    level = AttAcc(gpus(8, attacc_cache_bytes=1), 8)
    m, k, n = 1024, 4096, 1024
    plan = level.plan(m, k, n)
    # No second tile fits, so each first tile is fetched for itself.
    assert plan.off_chip_bytes > 2 * (m * k + k * n + m * n) * 3
    assert AttAcc(gpus(8), 8).plan(m, k, n).off_chip_bytes == 2 * (m * k + k * n + m * n)


def test_an_all_reduce_is_steps_over_the_others() -> None:
    spent = AttAcc(gpus(8), 8).all_reduce(7, 12288)
    assert spent.seconds == pytest.approx(7 * (6060 + 0.009 * 7 * 12288 * 2 / 8) / 1e9)
    wide = AttAcc(gpus(8, fabric_bytes_per_s=1e9), 8).all_reduce(7000, 12288)
    assert wide.seconds == pytest.approx(7 * 7000 * 12288 * 2 / 8 / 1e9)


def test_prefill_attends_every_pair() -> None:
    group = GroupCosts(gpus(8), GPT, 8)
    once = group.attend_prefill_ps([Chunk(0, 512, 0, False)])
    later = group.attend_prefill_ps([Chunk(0, 512, 512, False)])
    assert 1.7 * once < later < 2.1 * once


def test_a_gpu_without_its_constants_is_refused() -> None:
    machine = load_machine("l3-mini").with_settings([("gpu.level", "attacc")])
    with pytest.raises(InvalidInput, match=r"^gpu\.level: attacc needs attacc_sms, .* say roofline"):
        GroupCosts(machine.gpu, load_model("llama-2-7b"), 1)
    assert "attacc_sms" in load_gpu("a100-attacc")


def test_a_file_of_this_level_that_lacks_a_constant_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidInput, match=r"gpu\.attacc_sms: rtx-4090: missing; level attacc needs it"):
        load_group("rtx-4090", 8, {"level": "attacc"})
