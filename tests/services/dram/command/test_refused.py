"""What does not fit the chips or the buffers is refused by the name of its key; and geometry by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.services.dram.command.kernel import kernel_of
from tests.services.builders import reshaped
from tests.services.dram.command.kernels import kernel, pim_of

NEEDS = "for 8 queries a KV head"


@pytest.mark.parametrize(
    ("keys", "head_size", "field", "text"),
    [
        (
            {"n_hc": 8},
            24,
            "n_hc",
            "a head of 24 elements over 8 chips does not fill columns of 4; lower n_hc, or use another model",
        ),
        (
            {"n_hc": 8},
            96,
            "n_hc",
            "a head of 96 elements over 8 chips has 12 dimensions a chip, "
            "no multiple of 16 banks; lower n_hc",
        ),
        ({"bank_groups": 3}, 128, "bank_groups", "16 banks do not form 3 groups"),
        (
            {"row_bytes": 128, "n_hc": 1},
            128,
            "row_bytes",
            "a row of 128 bytes cannot hold a token's K of 32 columns; raise n_hc",
        ),
        ({"result_bytes": 3}, 128, "result_bytes", "must divide a burst of 8 bytes"),
        (
            {"pu": "rank", "pipelining": False},
            128,
            "pipelining",
            "K and V are read whole, and nothing is collected; leave it on",
        ),
        ({"result_buffer_bytes": 31}, 128, "result_buffer_bytes", f"31 hold no token's sums {NEEDS}"),
        (
            {"shared_buffer_bytes": 2050, "n_hc": 1},
            128,
            "shared_buffer_bytes",
            f"2050 hold no Q and S {NEEDS}",
        ),
        (
            {"score_buffer_bytes": 8191},
            128,
            "score_buffer_bytes",
            f"8191 hold no scores of 64 tokens {NEEDS}",
        ),
    ],
)
def test_refused_by_name(keys: dict[str, Any], head_size: int, field: str, text: str) -> None:
    pim = pim_of(**keys)
    shape = reshaped("llama-2-70b", head_size=head_size)
    with pytest.raises(InvalidInput) as caught:
        kernel_of(pim, shape, layout_of(pim, shape, 1, 1))
    assert caught.value.violations == ((field, text),)


def test_heads_that_do_not_share_the_chips_are_refused() -> None:
    pim, shape = pim_of(n_hc=1), reshaped("llama-2-70b")
    layout = layout_of(pim, shape, 1, 1)
    odd = pim_of(chips_per_rank=6)
    with pytest.raises(InvalidInput) as caught:
        kernel_of(odd, shape, layout_of(pim_of(n_hc=4), shape, 1, 1))
    assert caught.value.violations == (("n_hc", "6 chips cannot be shared by heads of 4; use a divisor"),)
    assert layout.chips_per_head == 1


@pytest.mark.parametrize("n_hc", [1, 2, 4, 8])
@given(token=st.integers(0, 10_000), dim=st.integers(0, 127))
def test_no_two_elements_share_a_place(n_hc: int, token: int, dim: int) -> None:
    at = kernel(1, n_hc=n_hc).geometry
    block, bank, column = at.k_place(token)
    assert (block * at.k_slots + column // at.token_columns) * 16 + bank == token
    assert 0 <= column <= at.row_columns - at.token_columns
    dim %= at.chip_elements
    block, bank, column, element = at.v_place(token, dim)
    quad, slot = divmod(column, at.bank_dims)
    assert (block * (at.row_columns // at.bank_dims) + quad) * 4 + element == token
    assert slot * 16 + bank == dim


def test_places_by_hand() -> None:
    # N_hc 8: 16 elements a chip are 4 columns; token 37 is in bank 5, slot 2: columns 8 to 11.
    eight = kernel(1, n_hc=8).geometry
    assert (eight.k_row_tokens, eight.v_row_tokens) == (512, 512)
    assert eight.k_place(37) == (0, 5, 8)
    assert eight.k_place(512 + 37) == (1, 5, 8)
    # One dimension a bank: token 37 is element 1 of column 9.
    assert eight.v_place(37, 3) == (0, 3, 9, 1)
    # N_hc 1: 128 elements are 32 columns, a row 4 slots; 8 dimensions a bank: 100 is slot 6 of bank 4.
    one = kernel(1, n_hc=1).geometry
    assert (one.k_row_tokens, one.v_row_tokens) == (64, 64)
    assert one.k_place(37) == (0, 5, 64)
    assert one.v_place(37, 100) == (0, 4, 9 * 8 + 6, 1)
