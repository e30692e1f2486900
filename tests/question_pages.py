"""How CI runs the commands of the pages of questions and for programs; see `tests/pages.py`."""

from tests.device_pages import AS_WRITTEN, SMALLER

FILLED = "./l3 compare fixed:8192:2048 --model gpt-175b --policy fill --requests 64 --machine l3-dgx-a100"

QUESTION_PAGES: dict[str, list[tuple[str, str]]] = {
    "docs/questions.md": [
        (
            'variant() { printf \'%s\\n\' \'extends: l3-dgx-a100\' "name: $1" "description: $1" "$2: '
            '{$3}" > $1.yaml; }',
            AS_WRITTEN,
        ),
        (
            "./l3 compare openr1 --model gpt-175b --policy auto --requests 200 --machine "
            "gpu-only-dgx-a100 --machine l3-dgx-a100",
            SMALLER,
        ),
        (
            "./l3 compare openr1 --model qwen-72b --policy auto --requests 200 --machine "
            "gpu-only-dgx-a100 --machine l3-dgx-a100",
            SMALLER,
        ),
        (
            "ask() { ./l3 compare fixed:$2:1024 --model $1 --policy auto --requests $3 --machine "
            'gpu-only-dgx-a100 --machine l3-dgx-a100 "${@:4}" | tail -1; }',
            AS_WRITTEN,
        ),
        ("ask gpt-175b 1024 64", SMALLER),
        ("ask qwen-72b 4096 256", SMALLER),
        ("variant channels-8 attention 'modules: 16'", AS_WRITTEN),
        ("variant channels-32 attention 'modules: 64'", AS_WRITTEN),
        (FILLED + " --machine ./channels-8.yaml --machine ./channels-32.yaml", SMALLER),
        ("variant ranks-4 attention 'ranks_per_module: 4'", AS_WRITTEN),
        ("variant one-rankset attention 'ranksets: 1, capacity_bytes: 2199023255552'", AS_WRITTEN),
        (FILLED + " --machine ./ranks-4.yaml --machine ./one-rankset.yaml", SMALLER),
        ("variant pu-half attention 'ccd_l_tck: 16'", AS_WRITTEN),
        ("variant pu-double attention 'ccd_l_tck: 4'", AS_WRITTEN),
        ("variant pu-rank attention 'pu: rank'", AS_WRITTEN),
        (FILLED + " --machine ./pu-half.yaml --machine ./pu-double.yaml --machine ./pu-rank.yaml", SMALLER),
        ("./l3 probe dimm-pim --model gpt-175b --batch 40 --context 9000", AS_WRITTEN),
        ("./l3 probe dimm-pim --model gpt-175b --batch 40 --context 9000 --set ccd_l_tck=4", AS_WRITTEN),
        ("variant pcie3x4 link 'pcie_bytes_per_s: null, pcie_generation: 3, pcie_lanes: 4'", AS_WRITTEN),
        ("variant pcie3 link 'pcie_bytes_per_s: null, pcie_generation: 3, pcie_lanes: 16'", AS_WRITTEN),
        ("variant pcie5 link 'pcie_bytes_per_s: null, pcie_generation: 5, pcie_lanes: 16'", AS_WRITTEN),
        (FILLED + " --machine ./pcie3x4.yaml --machine ./pcie3.yaml --machine ./pcie5.yaml", SMALLER),
        ("./l3 run fixed:8192:2048 --model gpt-175b --policy fill --requests 64 --in-process", SMALLER),
        (
            "./l3 run fixed:8192:2048 --model gpt-175b --policy chunked --requests 64 --machine "
            "gpu-only-dgx-a100 --in-process",
            SMALLER,
        ),
        (FILLED + " --machine l3-dgx-a100-ddr5", SMALLER),
        (
            "./l3 compare fixed:8192:2048 --model qwen-72b --policy fill --requests 256 "
            "--machine l3-dgx-a100 --machine l3-dgx-a100-ddr5",
            SMALLER,
        ),
    ],
    "docs/programs.md": [
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        ("API=$(./l3 status | awk '$1 == \"orchestrator\" {print $5}')", AS_WRITTEN),
        ("BUS=$(./l3 status | awk '$1 == \"broker\" {print $5}')", AS_WRITTEN),
        (".venv/bin/python docs/examples/listen.py $BUS l3-mini > heard.txt &", AS_WRITTEN),
        ("until grep -q dimm-03 heard.txt; do sleep 0.2; done", AS_WRITTEN),
        (".venv/bin/python docs/examples/job_client.py $API", AS_WRITTEN),
        ("wait", AS_WRITTEN),
        ("grep jobs heard.txt", AS_WRITTEN),
        ("./l3 submit fixed:128:64 --requests 20 --json", AS_WRITTEN),
        ("./l3 watch job-000002 --json | tail -1", AS_WRITTEN),
        ("./l3 report job-000002 --json > report.json", AS_WRITTEN),
        (
            '.venv/bin/python -c \'import json; print(json.load(open("report.json"))["requests"])\'',
            AS_WRITTEN,
        ),
        ("./l3 down", AS_WRITTEN),
    ],
}
