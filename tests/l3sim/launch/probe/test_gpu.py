"""`./l3 probe gpu`."""

import json
from pathlib import Path

import pytest

from l3sim.launch.cli import entry
from l3sim.specs.catalog import GPUS, MODELS

PROBE = "probe gpu --gpu a100-80gb --model llama-2-70b --tp 4 --tokens 256"
KEYS = {
    *("qkv_us", "attention_output_us", "ffn_up_us", "ffn_down_us", "norm_us", "all_reduce_us"),
    "layer_us",
}


def probed(words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert entry([*words.split(), "--json"]) == 0
    values: dict[str, object] = json.loads(capsys.readouterr().out)
    return values


def test_a_layer_is_the_sum_of_its_kernels_and_of_its_limits(capsys: pytest.CaptureFixture[str]) -> None:
    values = probed(PROBE, capsys)
    assert values.keys() >= KEYS
    assert not any("attention_us" in key for key in values)
    once = {"layer_us", "embedding_us", "lm_head_us"}
    kernels = [v for k, v in values.items() if k.endswith("_us") and k not in once and isinstance(v, float)]
    assert sum(kernels) == pytest.approx(values["layer_us"])
    limits = values["layer_limits_us"]
    assert isinstance(limits, dict)
    assert sum(limits.values()) == pytest.approx(values["layer_us"])
    assert (values["gpu"], values["level"], values["tp"], values["tokens"]) == (
        "a100-80gb",
        "calibrated",
        4,
        256,
    )


def test_attention_comes_with_a_context(capsys: pytest.CaptureFixture[str]) -> None:
    short, long = (probed(f"{PROBE} --context {context}", capsys) for context in (100, 1000))
    for key in ("decode_attention_us", "prefill_attention_us"):
        assert short[key] < long[key]  # type: ignore[operator]
    assert short["layer_us"] == long["layer_us"]


def test_every_gpu_at_each_of_its_levels(capsys: pytest.CaptureFixture[str]) -> None:
    for path in GPUS.glob("*.yaml"):
        words = f"probe gpu --gpu {path.stem} --model llama-2-7b --tokens 8"
        assert probed(f"{words} --level roofline", capsys)["level"] == "roofline"
        assert float(str(probed(words, capsys)["layer_us"])) > 10


def test_a_model_that_is_in_no_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "odd.yaml"
    text = (MODELS / "llama-2-7b.yaml").read_text()
    file.write_text(text.replace("hidden: 4096", "hidden: 4224").replace("ffn: 11008", "ffn: 9999"))
    assert (
        float(str(probed(f"probe gpu --gpu a40 --model {file} --tp 2 --tokens 77", capsys)["layer_us"])) > 0
    )


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(PROBE.split()) == 0
    out = capsys.readouterr().out
    assert "one layer of llama-2-70b, 256 tokens, TP 4, on one a100-80gb (calibrated)" in out
    assert "the layer's time goes to: compute " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tp 3", "tp: 3 does not divide the 64 heads of llama-2-70b"),
        ("--gpu a100", "gpu: unknown gpu 'a100'"),
        ("--model x", "model: unknown model 'x'"),
        ("--tokens 0", "--tokens: must be a whole number from 1 to 1048576, got '0'"),
        (
            "--level command",
            "gpu.level: a100-80gb: must be one of: roofline, calibrated, attacc; got 'command'",
        ),
        ("--gpu rtx-4090 --level calibrated", "gpu.sms: rtx-4090: missing; level calibrated needs it"),
        ("--gpu ./none.yaml", "gpu: no file './none.yaml'"),
    ],
)
def test_what_is_refused(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([*PROBE.split(), *words.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"l3: error: {message}")
    assert told.err.count("\n") == 1
