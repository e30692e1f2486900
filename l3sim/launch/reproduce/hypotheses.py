"""What might explain a difference from a published figure. Each is a guess about how it was made.

None is stated by the source as we set it here, none is a default of any machine, and none has a number that
was chosen to come near: each says one thing that the source may have done, and its cells follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from l3sim.launch.reproduce.plan import run_of
from l3sim.launch.reproduce.published import SYSTEMS
from l3sim.launch.reproduce.runs import Run

Settings = tuple[tuple[str, str], ...]

#: The modules' own placement, commands and mapping, in place of ideal balance.
REAL_MODULES: Settings = (
    ("attention.level", "fast"),
    ("attention.n_hc", "null"),
    ("attention.kv_block_tokens", "null"),
    ("attention.modules_per_channel", "2"),
    ("attention.ranks_per_module", "2"),
    ("link.channel_bytes_per_s", "25.6e9"),
)
#: Modules of them.
REAL_COUNT = 32
_GPU_BINARY = (("gpu.memory_bytes", str(80 * 2**30)),)
_DIMM_BINARY = (("attention.rank_capacity_bytes", str(32 * 2**30)),)
_STACK_BINARY = (("attention.module_capacity_bytes", str(16 * 2**30)),)
_CPU_BINARY = (("attention.module_capacity_bytes", str(128 * 2**30)),)
_FP32_RATE = (("gpu.compute_flops", "19.5e12"),)
_NO_SUMS = (("gpu.attacc_step_ns", "0.0"), ("gpu.attacc_step_ns_per_byte", "0.0"))
_PER_QUERY = (("gpu.attacc_kv_reads", "query-head"),)


def modules_with(settings: Settings) -> int:
    """Modules of a machine with these settings; 0: as many as its file says."""
    return REAL_COUNT if set(REAL_MODULES) <= set(settings) else 0


@dataclass(frozen=True)
class Hypothesis:
    """A guess.

    Attributes:
        changes: settings by system; systems that are not there stay as they are.
        models: that it can say anything about; () for all.
        filled: memory bounds the batch, and what has no room is preempted.
    """

    name: str
    text: str
    changes: Mapping[str, Settings] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    filled: bool = False

    def run(self, system: str, model: str, workload: str, requests: int) -> Run:
        """A system's run under it."""
        settings = self.changes.get(system, ())
        modules = modules_with(settings)
        return run_of(
            *(system, model, workload),
            requests=requests,
            settings=settings,
            modules=modules,
            filled=self.filled,
        )


HYPOTHESES = (
    Hypothesis(
        "H1 query heads",
        "The GPU reads KV once for each query head: AttAcc's public tables know no grouped queries.",
        {"gpu-only": _PER_QUERY},
        ("qwen-72b",),
    ),
    Hypothesis(
        "H2 19.5 TFLOP/s",
        'A GPU has 19.5 TFLOP/s ("156 TFLOP/s FP16 in total").',
        dict.fromkeys(SYSTEMS, _FP32_RATE),
    ),
    Hypothesis(
        "H3 L3 unbalanced",
        "L3 alone is simulated with its real ranks and commands, all others at their full bandwidth.",
        {"l3": REAL_MODULES},
    ),
    Hypothesis(
        "H4 binary capacities",
        "640 GB are 640 GiB, 2 TB are 2 TiB, 320 GB are 320 GiB.",
        {
            "gpu-only": _GPU_BINARY,
            "hbm-pim": (*_GPU_BINARY, *_STACK_BINARY),
            "hbm-pim-ext": (*_GPU_BINARY, *_STACK_BINARY),
            "cpu": (*_GPU_BINARY, *_CPU_BINARY),
            "r-pim": (*_GPU_BINARY, *_DIMM_BINARY),
            "l3": (*_GPU_BINARY, *_DIMM_BINARY),
        },
        ("opt-66b",),
    ),
    Hypothesis(
        "H5 H1 and H3",
        "The first and the third at once.",
        {"gpu-only": _PER_QUERY, "l3": REAL_MODULES},
        ("qwen-72b",),
    ),
    Hypothesis(
        "H6 hidden sums",
        "All-reduces of one sub-batch hide beside the work of the other.",
        dict.fromkeys(("hbm-pim", "hbm-pim-ext", "l3"), _NO_SUMS),
    ),
    Hypothesis(
        "H7 preemption",
        "Memory fills, and what has no room is preempted and recomputed, as a serving engine does.",
        models=("gpt-175b",),
        filled=True,
    ),
)
