"""Keys of machines and policies that a job cannot have, and what is said of each: for `test_bad_input`."""

KEYS: list[tuple[str, str]] = [
    (
        "submit fixed:16:8 --set host.power=1",
        "host.power: unknown key 'power'; did you mean 'power_w'? "
        "(there are: launch_us, output_request_us, output_us, power_w, sample_us, schedule_request_us, "
        "schedule_us)",
    ),
    (
        "submit fixed:16:8 --set attention.memory_share=2",
        "attention.memory_share: l3-mini: Expected `float` <= 1.0, got 2",
    ),
    (
        "submit fixed:16:8 --set link.pcie_generation=5",
        "link.pcie_generation: l3-mini: excludes pcie_bytes_per_s, which says the rate itself; "
        "make one of them null",
    ),
    (
        "run fixed:16:8 --machine l3-dgx-a100 --in-process --set link.gpus_per_uplink=3",
        "link.gpus_per_uplink: 3 GPUs of an uplink and 8 of a replica (tp) do not divide each other; "
        "change one",
    ),
    ("submit fixed:16:8 --set attention.n_hc", "--set: must be slot.key=value, got 'attention.n_hc'"),
    (
        "submit fixed:16:8 --set attention.modules=8",
        "attention.modules: belongs to the machine, not to a job; use another machine file",
    ),
    (
        "submit fixed:16:8 --policy serial --set scheduler.selection=all",
        "scheduler.selection: policy 'serial' does not read it "
        "(it reads: admit_watermark, aging_s, kv_reserve_tokens, max_chunk_tokens, min_chunk_tokens, "
        "prefix_sharing); use --policy l3",
    ),
    (
        "submit fixed:16:8 --set scheduler.gpu_kv_share=1",
        "scheduler.gpu_kv_share: l3-mini: Expected `float` <= 0.95, got 1",
    ),
    (
        "submit fixed:16:8 --set scheduler.token_budget=0",
        "scheduler.token_budget: l3-mini: Expected `int` >= 1, got 0",
    ),
    (
        "run fixed:16:8 --machine hbm-pim-dgx-a100 --in-process --set attention.partition=block",
        "attention.partition: has no partition: a head's KV of a layer lies on one module here; "
        "only dimm-pim has stripes",
    ),
    (
        "submit fixed:16:8 --set attention.partition=block --set attention.stripe_tokens=100",
        "attention.stripe_tokens: a KV block has 512 tokens (attention.kv_block_tokens); "
        "use a multiple of that, not 100",
    ),
    (
        "submit openr1:max=100",
        "workload: no lengths up to 100 have a mean of 12684.1 and a standard deviation of 8464.6; "
        "use a bound of 18700 or more; or give a trace file",
    ),
    (
        "run fixed:16:8 --machine gpu-only-dgx-a100 --policy adaptive --in-process",
        "policy: 'adaptive' is not for GPUs that attend themselves; use one of: chunked, fill, "
        "serial, static",
    ),
    (
        "submit fixed:16:8 --oracle-lengths --set scheduler.kv_reserve_tokens=8",
        "scheduler.kv_reserve_tokens: 8 tokens contradict --oracle-lengths, which books what each request "
        "will hold; use 0",
    ),
    (
        "submit fixed:16:8 --set attention.kv_block_tokens=100",
        "attention.kv_block_tokens: a row of all banks holds 512 tokens of a head group; "
        "use a divisor or a multiple of that, not 100",
    ),
    (
        "run fixed:16:8 --machine l3-mini --override dimm-04.n_hc=1",
        "override: unknown slot 'dimm-04'; did you mean 'dimm-03'? "
        "(there are: dimm-00, dimm-01, dimm-02, dimm-03, gpu, link)",
    ),
]
