"""How CI runs the commands of the pages on devices; the other pages stand in `tests/pages.py`."""

AS_WRITTEN = "as written"
#: With more options at its end: those after `# CI:` in the comment beside it.
SMALLER = "smaller"

DEVICE_PAGES: dict[str, list[tuple[str, str]]] = {
    "docs/devices.md": [
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        (".venv/bin/python docs/examples/flat_link.py > link.log &", AS_WRITTEN),
        ("until grep -q address link.log; do sleep 0.2; done", AS_WRITTEN),
        (
            './l3 swap link --with $(sed -n \'s/.*"address": "\\([^"]*\\)".*/\\1/p\' link.log)',
            AS_WRITTEN,
        ),
        ("./l3 submit fixed:128:64 --requests 20 --wait", AS_WRITTEN),
        ("./l3 swap link --with interconnect", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
        ("kill $!", AS_WRITTEN),
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        ("BUS=$(./l3 status | awk '$1 == \"broker\" {print $5}')", AS_WRITTEN),
        ("kill $(./l3 status | awk '$1 == \"dimm-02\" {print $4}')", AS_WRITTEN),
        (
            ".venv/bin/python -m l3sim.transport.serve dimm-pim --machine l3-mini --bus $BUS --id slow "
            "--slot dimm-02 --override ccd_l_tck=16 > slow.log 2>&1 &",
            AS_WRITTEN,
        ),
        ("until ./l3 devices | grep -q 'slow .* ready .* dimm-02'; do sleep 0.5; done", AS_WRITTEN),
        ("./l3 submit fixed:128:64 --requests 20 --wait", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
        ("kill $!", AS_WRITTEN),
        (
            "./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3 "
            "--override dimm-02.ccd_l_tck=16",
            AS_WRITTEN,
        ),
    ],
    "docs/write-a-device.md": [
        (
            "sed -n '/^```python$/,/^```$/p' docs/write-a-device.md | grep -v '^```' > cxl_pim.py",
            AS_WRITTEN,
        ),
        (
            "sed -n '/^```yaml$/,/^```$/p' docs/write-a-device.md | grep -v '^```' > cxl-mini.yaml",
            AS_WRITTEN,
        ),
        (
            ".venv/bin/python -m l3sim.transport.serve ./cxl_pim.py --id mine > mine.log 2>&1 &",
            AS_WRITTEN,
        ),
        ("until grep -q '\"address\"' mine.log; do sleep 0.2; done", AS_WRITTEN),
        (
            './l3 conformance --machine ./cxl-mini.yaml $(sed -n \'s/.*"event": "ready", '
            '"address": "\\([^"]*\\)".*/\\1/p\' mine.log)',
            AS_WRITTEN,
        ),
        ("kill $!", AS_WRITTEN),
        (
            "./l3 run fixed:128:64 --machine ./cxl-mini.yaml --requests 20 --policy l3 --in-process",
            AS_WRITTEN,
        ),
        ("./l3 run fixed:128:64 --machine ./cxl-mini.yaml --requests 20 --policy l3", AS_WRITTEN),
        (
            "./l3 run fixed:128:64 --machine ./cxl-mini.yaml --requests 20 --policy l3 --override "
            "dimm-02.dram_bytes_per_s=50e9",
            AS_WRITTEN,
        ),
        (
            "./l3 compare fixed:128:64 --requests 20 --policy l3 --machine l3-mini --machine ./cxl-mini.yaml",
            AS_WRITTEN,
        ),
        (
            "./l3 probe attention --machine ./cxl-mini.yaml --model llama-2-7b --batch 16 --context 2048",
            AS_WRITTEN,
        ),
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        ("./l3 swap attention --with ./cxl_pim.py --machine ./cxl-mini.yaml", AS_WRITTEN),
        ("./l3 submit fixed:128:64 --requests 20 --wait", AS_WRITTEN),
        ("./l3 swap attention --with dimm-pim", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
    ],
}
