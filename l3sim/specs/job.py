"""What a user asks for: one job, before it is resolved against a machine."""

from dataclasses import dataclass
from typing import Annotated

from l3sim.specs.model import ModelShape
from l3sim.specs.option import Option, check_bounds
from l3sim.specs.workload import WorkloadSpec, check_workload

#: `adaptive` where devices of their own attend, else `chunked`.
DEFAULT_POLICY = "auto"
DEFAULT_MAX_WINDOW = 4096
MAX_DEGREE = 1024
#: Latencies of a request that an objective may bound; tbt_s is its longest gap between two tokens.
SLO_METRICS = ("ttft_s", "tbt_s", "tpot_s", "e2e_s", "queue_s")


@dataclass(frozen=True)
class JobSpec:
    """One job. Empty and zero mean the default.

    Options are declared here and nowhere else (`l3sim/specs/option.py`).

    Attributes:
        machine: the machine that it is meant for; refused when another one answers.
        model: a name from `models/`, a shape, or "" for the machine's default model.
        seed: root of all random streams.
        tp, dp: 0: by estimate (`l3sim.orchestrator.job.parallel`), and as many replicas as GPUs make.
        max_window: upper bound of rounds in a window; 1 is lockstep. Changes no result.
        settings: (`slot.key`, value as YAML text) above the machine file.
        spans_rounds: tasks of each replica's first K rounds are kept; 0: none.
        slo: (metric of `SLO_METRICS`, seconds that it may take at most).
        oracle_lengths: the scheduler knows every request's output length.
        regret_plans: K plans of each replica are compared with their alternatives; 0: none.
    """

    workload: WorkloadSpec
    machine: str = ""
    model: Annotated[
        str | ModelShape,
        Option(
            "--model",
            "A name from models/, a YAML file or a Hugging Face config.json; default: the machine's.",
        ),
    ] = ""
    policy: Annotated[
        str,
        Option(
            "--policy",
            "adaptive, l3, fill, serial, chunked, static, one of your own; auto: adaptive, or chunked where "
            "GPUs attend.",
            empty=False,
        ),
    ] = DEFAULT_POLICY
    seed: Annotated[int, Option("--seed", "Root of all random streams.", "S", 0, 2**64 - 1)] = 0
    tp: Annotated[int, Option("--tp", "Tensor parallel; default: by estimate.", "N", 1, MAX_DEGREE)] = 0
    dp: Annotated[int, Option("--dp", "Data parallel; default: all GPUs.", "N", 1, MAX_DEGREE)] = 0
    max_window: Annotated[
        int,
        Option(
            "--max-window",
            "Most rounds in a window; 1: lockstep, same result.",
            "K",
            1,
            10**9,
            changes_result=False,
        ),
    ] = DEFAULT_MAX_WINDOW
    settings: tuple[tuple[str, str], ...] = ()
    spans_rounds: Annotated[
        int,
        Option(
            "--spans",
            "Keep the tasks of each replica's first K rounds.",
            "K",
            1,
            10_000,
            changes_result=False,
        ),
    ] = 0
    slo: Annotated[
        tuple[tuple[str, float], ...],
        Option("--slo", "Objectives, for goodput: ttft_s:2,tbt_s:0.1.", "METRIC:S,..."),
    ] = ()
    oracle_lengths: Annotated[
        bool, Option("--oracle-lengths", "The scheduler knows every output length.")
    ] = False
    regret_plans: Annotated[
        int,
        Option(
            "--regret",
            "Compare K plans of each replica with their alternatives.",
            "K",
            1,
            1000,
            changes_result=False,
        ),
    ] = 0


def check_job(spec: JobSpec) -> None:
    """Refuse what no machine takes: numbers out of bounds, options that contradict each other.

    Raises:
        InvalidInput: by field.
    """
    check_bounds(spec)
    check_workload(spec.workload)
