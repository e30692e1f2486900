"""What a user asks for: one job, before it is resolved against a machine."""

from dataclasses import dataclass

from l3sim.specs.model import ModelShape
from l3sim.specs.workload import WorkloadSpec

DEFAULT_POLICY = "l3"
DEFAULT_MAX_WINDOW = 4096
#: Latencies of a request that an objective may bound; tbt_s is its longest gap between two tokens.
SLO_METRICS = ("ttft_s", "tbt_s", "tpot_s", "e2e_s", "queue_s")


@dataclass(frozen=True)
class JobSpec:
    """One job. Empty and zero mean the default.

    Attributes:
        machine: the machine that it is meant for; refused when another one answers.
        model: a name from `models/`, a shape, or "" for the machine's default model.
        seed: root of all random streams.
        tp, dp: 0: by model and machine.
        max_window: upper bound of rounds in a window; 1 is lockstep. Changes no result.
        settings: (`slot.key`, value as YAML text) above the machine file.
        spans_rounds: tasks of the first so many rounds of each replica are kept.
        slo: (metric of `SLO_METRICS`, seconds that it may take at most).
        oracle_lengths: the scheduler knows every request's output length.
        regret_plans: so many plans of each replica are compared with their alternatives.
    """

    workload: WorkloadSpec
    machine: str = ""
    model: str | ModelShape = ""
    policy: str = DEFAULT_POLICY
    seed: int = 0
    tp: int = 0
    dp: int = 0
    max_window: int = DEFAULT_MAX_WINDOW
    settings: tuple[tuple[str, str], ...] = ()
    spans_rounds: int = 0
    slo: tuple[tuple[str, float], ...] = ()
    oracle_lengths: bool = False
    regret_plans: int = 0
