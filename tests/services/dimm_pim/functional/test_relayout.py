"""Bytes from the host to the chips and back; and what happens without the unit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.dimm_pim.functional.memory import Chips
from l3sim.services.dimm_pim.functional.relayout import (
    HostLayout,
    PimLayout,
    bytes_of,
    coarse,
    fine,
    stripe,
    uncoarse,
    unfine,
    unstripe,
)
from tests.services.dimm_pim.functional.builders import Oracle, small_kernel

RNG = np.random.default_rng(3)


def halves(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float16)


def test_the_pictures_of_the_docstring() -> None:
    memory: Any = np.array([f"{name}{byte}" for name in "abcdefgh" for byte in "01"])
    beats: Any = stripe(memory, 8)
    assert beats.T.tolist() == [
        ["a0", "a1", "b0", "b1", "c0", "c1", "d0", "d1"],
        ["e0", "e1", "f0", "f1", "g0", "g1", "h0", "h1"],
    ]
    assert fine(beats).T.tolist() == [[f"{name}{byte}" for name in "abcdefgh"] for byte in "01"]


@pytest.mark.parametrize("n_hc", [1, 2, 4, 8])
def test_a_beat_carries_as_many_heads_as_share_the_chips(n_hc: int) -> None:
    heads, part = 8 // n_hc, 16
    elements = np.array([f"{'xyzwabcd'[h]}[{i}]" for h in range(heads) for i in range(part * n_hc)])
    memory: Any = np.stack([elements, elements], axis=-1).reshape(-1)
    beats: Any = coarse(fine(stripe(memory, 8)))
    first = beats[:, 0].tolist()
    assert first == [f"{'xyzwabcd'[chip // n_hc]}[{chip % n_hc * part}]" for chip in range(8)]
    # Both bytes of an element follow each other on its chip.
    assert (beats[:, 0::2] == beats[:, 1::2]).all()


@given(st.binary(min_size=64, max_size=64))
def test_every_step_has_a_reverse(data: bytes) -> None:
    memory = np.frombuffer(data, np.uint8)
    beats = stripe(memory, 8)
    assert np.array_equal(unstripe(beats), memory)
    assert np.array_equal(unfine(fine(beats)), beats)
    assert np.array_equal(uncoarse(coarse(fine(beats))), fine(beats))


@pytest.mark.parametrize("n_hc", [1, 2, 4, 8])
def test_elements_lie_where_the_geometry_says(n_hc: int) -> None:
    at = small_kernel(n_hc=n_hc, rows_slots=2, dims=32).geometry
    layout, row = PimLayout(at), Chips(at).row(0)
    tokens = halves(at.k_row_tokens, at.heads, at.head_size)
    for kind in "KV":
        layout.put(row, kind, np.arange(len(tokens)), tokens)
        for token, head, element in RNG.integers(0, (len(tokens), at.heads, at.head_size), (50, 3)).tolist():
            part, dim = divmod(element, at.chip_elements)
            if kind == "K":
                _, bank, first = at.k_place(token)
                column, inside = first + dim // at.column_elements, dim % at.column_elements
            else:
                _, bank, column, inside = at.v_place(token, dim)
            stored = row[head * n_hc + part, bank, column].view("<f2")[inside]
            assert stored == tokens[token, head, element]


@pytest.mark.parametrize("pu", ["bank", "rank"])
@pytest.mark.parametrize("n_hc", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["K", "V"])
def test_a_row_gives_back_what_was_put(pu: str, n_hc: int, kind: str) -> None:
    kernel = small_kernel(n_hc=n_hc, rows_slots=2, pu=pu)
    at = kernel.geometry
    layout = PimLayout(at) if pu == "bank" else HostLayout(at, kernel.token_bursts)
    row = Chips(at).row(0)
    tokens = halves(layout.row_tokens[kind], at.heads, at.head_size)
    for first in range(0, len(tokens), 7):  # pieces that begin and end inside columns
        inside = np.arange(first, min(first + 7, len(tokens)))
        layout.put(row, kind, inside, tokens[inside])
        assert np.array_equal(layout.get(row, kind, inside), tokens[inside])
    assert np.array_equal(layout.get(row, kind, np.arange(len(tokens))), tokens)


def test_without_the_unit_an_element_is_split_over_two_chips_and_its_score_is_garbage() -> None:
    """K of sixteen tokens as the host stripes them: bank units multiply halves of numbers with Q."""
    oracle = Oracle(small_kernel(n_hc=8))
    at = oracle.kernel.geometry
    k, q = oracle.draw(16, at.heads, at.head_size), oracle.draw(at.head_size)
    striped = stripe(bytes_of(k), at.chips)  # (tokens, chips, bytes), as it would be without the unit
    laid = PimLayout(at).chip_bytes(k)

    # The two bytes of element 0 of token 0 lie on chips 0 and 1; with the unit both on chip 0.
    low, high = bytes_of(k)[0, :2]
    assert (striped[0, 0, 0], striped[0, 1, 0]) == (low, high)
    assert (laid[0, 0, 0], laid[0, 0, 1]) == (low, high)

    expected = k[:, 0].astype(np.float64) @ q.astype(np.float64)
    parts = q.reshape(at.chips, at.chip_elements).astype(np.float64)

    def scores(chip_bytes: Any) -> Any:
        """What the chips' sums add up to, element by element."""
        seen = np.ascontiguousarray(chip_bytes).view("<f2").astype(np.float64)
        return (seen * parts).sum(axis=(1, 2))

    assert np.allclose(scores(laid), expected)
    with np.errstate(invalid="ignore"):
        off = abs(scores(striped) - expected)
    # Not one of the sixteen scores is within its own size of what it should be, on the whole.
    assert not np.median(np.nan_to_num(off, nan=np.inf)) < np.median(abs(expected))
