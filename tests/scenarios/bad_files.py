"""Traces, machine files and model configurations that are wrong, each in one way: for `test_bad_input`."""

from tests.root import ROOT

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
GOOD = "2023-11-16 18:17:03.9799600,12,8\n"
MINI = (ROOT / "machines" / "l3-mini.yaml").read_text()
LLAMA = (ROOT / "models" / "samples" / "llama-3.1-8b.json").read_text()

#: Files of the folder in which the commands run.
FILES = {
    "words.csv": f"{HEADER}{GOOD}2023-11-16 18:17:04,12,many\n",
    "negative.csv": f"{HEADER}{GOOD}2023-11-16 18:17:04,-3,8\n",
    "zero.csv": f"{HEADER}2023-11-16 18:17:04,12,0\n",
    "short.csv": f"{HEADER}2023-11-16 18:17:04,12\n",
    "order.csv": f"{HEADER}{GOOD}2023-11-16 18:17:02,12,8\n",
    "head.csv": "a,b\n1,2\n",
    "empty.csv": "",
    "none.csv": HEADER,
    "day.csv": f"{HEADER}yesterday,12,8\n",
    "long.csv": f"{HEADER}{GOOD}2023-11-16 18:17:04,2000000,2000000\n",
    "broken.jsonl": '{"prompt_tokens": 12, "output_tokens": 8}\n{"prompt_tokens": 12,\n',
    "high.jsonl": '{"prompt_tokens": 12, "output_tokens": 8, "priority": 12}\n',
    "keyless.jsonl": '{"prompt_tokens": 12}\n',
    "order.jsonl": '{"arrival_s": 2, "prompt_tokens": 1, "output_tokens": 1}\n'
    '{"arrival_s": 1, "prompt_tokens": 1, "output_tokens": 1}\n',
    "key.yaml": MINI.replace("  setup_us:", "  setup_ms:"),
    "section.yaml": MINI.replace("\nhost:", "\nhosts:"),
    "negative.yaml": MINI.replace("  gpus:", "  compute_efficiency: -0.75\n  gpus:"),
    "word.yaml": MINI.replace("gpus: {value: 1,", "gpus: {value: one,"),
    "name.yaml": MINI.replace("name: l3-mini", "name: a/b"),
    "kind.yaml": MINI.replace("kind: dimm-pim", "kind: hbm"),
    "missing.yaml": "".join(line for line in MINI.splitlines(True) if "module_idle_w" not in line),
    "list.yaml": "- name\n",
    "zero.yaml": MINI.replace("channel_bytes_per_s: {value: 25.6e9", "channel_bytes_per_s: {value: 0"),
    "twice.yaml": MINI.replace("  pcie_efficiency:", "  pcie_generation: 5\n  pcie_efficiency:"),
    "rateless.yaml": "".join(line for line in MINI.splitlines(True) if "pcie_bytes_per_s" not in line),
    "field.json": "".join(line for line in LLAMA.splitlines(True) if "num_hidden_layers" not in line),
    "bloom.json": LLAMA.replace("LlamaForCausalLM", "BloomForCausalLM"),
    "text.json": "llama\n",
}
