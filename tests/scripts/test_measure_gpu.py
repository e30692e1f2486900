"""Measuring: a profile comes out that a fit reads; with torch on the processor, where torch is."""

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from l3sim.specs.catalog import load_model
from l3sim.testing.builders import small_model
from scripts.gpu_profiles import COLUMNS, read_profile
from scripts.measure_gpu import HEAD, lines, main


class Counted:
    """Kernels that take as long as they have tokens."""

    def times_us(self, tokens: int) -> Mapping[str, float]:
        return dict.fromkeys(COLUMNS, float(tokens))

    def decode_us(self, requests: int, context: int) -> float:
        return requests * context / 1000

    def prefill_us(self, tokens: int, context: int) -> float:
        return tokens * (context + tokens) / 1000


def test_lines_are_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, HEAD)
        writer.writeheader()
        for line in lines(load_model("llama-2-70b"), 4, [8, 512], 1000, Counted()):
            writer.writerow(line)
    profile = read_profile(file)
    assert (profile.tp.tolist(), profile.tokens.tolist()) == ([4, 4], [8, 512])
    assert profile.timed["mlp_up_proj_us"].measured_us.tolist() == [8, 512]
    # 512 requests are too many to decode; 8 of 1,001 tokens are 8,008 pairs of 2,048 elements.
    assert profile.attended is not None
    assert profile.attended.measured_us.tolist() == [8.0, 8.064, 774.144]
    assert profile.attended.pairs[0] == 8 * 1001 * 2048


@pytest.mark.skipif(find_spec("torch") is None, reason="torch, an optional extra, is not installed")
def test_torch_measures_what_a_fit_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.measure_gpu.load_model", lambda _: small_model())
    file = tmp_path / "mine.csv"
    words = ["--model", "small", "--out", str(file), "--tp", "1", "2", "--tokens", "1", "7", "--context", "5"]
    assert main([*words, "--device", "cpu", "--repeats", "2"]) == 0
    profile = read_profile(file)
    assert profile.tp.tolist() == [1, 1, 2, 2]
    assert profile.attended is not None


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "llama-2-7b", "--out", str(tmp_path / "mine.csv")]) == 3
    assert "error: measuring needs torch, which is not installed;" in capsys.readouterr().err


def test_a_degree_that_does_not_divide_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "llama-2-7b", "--out", str(tmp_path / "mine.csv"), "--tp", "3"]) == 2
    assert capsys.readouterr().err == "measure_gpu: error: tp: 3 does not divide the 32 heads of llama-2-7b\n"
