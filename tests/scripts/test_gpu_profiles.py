"""Profiles: their sizes by hand, and what is refused by line."""

from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import load_model
from scripts.gpu_folds import data_sheet
from scripts.gpu_profiles import COLUMNS, IN_LAYER, SHAPE_COLUMNS, read_all_reduces, read_profile
from tests.scripts.profiles import made

HEAD = ",".join(("tensor_parallel", "num_tokens", *SHAPE_COLUMNS, *COLUMNS))
ROW = "4,100,64,8,8192,28672,32768,True" + ",10" * len(COLUMNS)


def written(folder: Path, *rows: str) -> Path:
    file = folder / "mine.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def test_sizes_of_a_line(tmp_path: Path) -> None:
    profile = read_profile(written(tmp_path, HEAD, ROW))
    sizes = {column: tuple(size[0] for size in timed.sizes) for column, timed in profile.timed.items()}
    assert sizes["attn_pre_proj_us"] == (100, 8192, (16 + 2 * 2) * 128)
    assert sizes["attn_post_proj_us"] == (100, 2048, 8192)
    assert sizes["mlp_up_proj_us"] == (100, 8192, 2 * 7168)
    assert sizes["mlp_down_proj_us"] == (100, 7168, 8192)
    assert sizes["mlp_act_us"] == (100, 3 * 7168)
    assert sizes["attn_rope_us"] == (100, 2 * 18 * 128)
    assert (profile.name, profile.attended) == ("mine", None)


def test_a_layer_is_that_of_the_device(tmp_path: Path) -> None:
    gpu, model = data_sheet("a100-80gb"), load_model("llama-2-7b")
    profile = read_profile(made(tmp_path / "mine.csv", gpu, model))
    predicted, measured = profile.layer_us(gpu)
    assert predicted == pytest.approx(measured)
    first = GroupCosts(gpu, model, 1)
    dense = [spent for op in ("block_in", "block_out") for _, spent in first.kernels(op, 1, 0)]  # type: ignore[arg-type]
    assert predicted[0] == pytest.approx(sum(spent.seconds for spent in dense) * 1e6)
    assert sum(IN_LAYER.values()) == 10


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((HEAD.replace("add_us", "x"), ROW), "mine.csv:1: no column 'add_us'; docs/gpus.md shows the form"),
        ((HEAD,), "mine.csv: no measurements below its head"),
        ((HEAD, ROW, ROW[:-2] + "ten"), "mine.csv:3: add_us: 'ten' is no number"),
        ((HEAD, ROW[:-2] + "0"), "mine.csv:2: add_us: must be above 0, got 0"),
        ((HEAD, ROW[:-3]), "mine.csv:2: add_us: None is no number"),
        ((HEAD, ROW.replace("True", "yes")), "mine.csv:2: gated_mlp: must be True or False, got 'yes'"),
        (
            (HEAD, ROW.replace(",64,8,", ",64,7,")),
            "mine.csv:2: heads (64) must be a multiple of kv_heads",
        ),
    ],
)
def test_what_is_refused(rows: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_profile(written(tmp_path, *rows))
    assert message in str(caught.value)


def test_all_reduces_are_sorted(tmp_path: Path) -> None:
    head = "num_workers,devices_per_node,bytes,all_reduce_us"
    found = read_all_reduces(written(tmp_path, head, "8,8,20,3", "2,1,30,1", "8,8,10,2"))
    assert (found.gpus.tolist(), found.size_bytes.tolist()) == ([2, 8, 8], [30, 10, 20])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_all_reduces(tmp_path / "none.csv")
