"""Where K and V lie: every byte of a row block is one token's, whatever the shape."""

from typing import Any

import pytest

from tests.services.dram.command.kernels import kernel

SHAPES: list[tuple[int, dict[str, Any]]] = [(8, {}), (4, {"n_hc": 2}), (1, {"n_hc": 1}), (16, {"n_hc": 8})]


@pytest.mark.parametrize(("queries", "keys"), SHAPES, ids=["n_hc=4", "n_hc=2", "n_hc=1", "n_hc=8"])
def test_tokens_share_no_column(queries: int, keys: dict[str, Any]) -> None:
    at = kernel(queries, **keys).geometry
    k = [at.k_place(token) for token in range(2 * at.k_row_tokens)]
    assert {block for block, _, _ in k} == {0, 1}
    taken = [(block, bank, first + column) for block, bank, first in k for column in range(at.token_columns)]
    assert len(set(taken)) == len(taken)
    assert max(column for _, _, column in taken) < at.row_columns
    v = [at.v_place(token, 0) for token in range(2 * at.v_row_tokens)]
    assert len(set(v)) == len(v)
    assert {block for block, *_ in v} == {0, 1}
