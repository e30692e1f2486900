"""The report of a job as one value, from and to the JSON of docs/report.md."""

import re
from typing import Any, Literal, Self

import msgspec

from l3sim.errors import InvalidInput
from l3sim.reports.prediction import Prediction
from l3sim.reports.sections import (
    Balance,
    Batch,
    Bubbles,
    Distribution,
    Energy,
    Exchange,
    HostTime,
    Iteration,
    Kv,
    Parallel,
    Provenance,
    Rate,
    Requests,
    Slo,
    Steady,
    Tokens,
    Utilization,
    Workload,
)

Schema = Literal["l3.report/1"]
SCHEMA: Schema = "l3.report/1"

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<at>[^`]*)`)?")
_WRONG = re.compile(r"(?P<what>.*) - at `\$\.?(?P<at>[^`]*)`")


class Report(msgspec.Struct, frozen=True):
    """Everything that a job's report says; the order of the fields is that of the file.

    Attributes:
        job: digest of the job as it ran: equal digests, equal reports but for `exchange`.
        gpu_time_s: seconds by what the GPUs' busy time went to; empty where they do not count it.
        invariants: "ok", or what does not hold, in words.
    """

    schema: Schema
    job: str
    machine: str
    model: str
    policy: str
    workload: Workload
    seed: int
    parallel: Parallel
    requests: Requests
    preemptions: int
    tokens: Tokens
    makespan_s: float
    throughput_tokens_per_s: float
    steady: Steady
    rate: Rate
    ttft_s: Distribution
    tpot_s: Distribution
    e2e_s: Distribution
    queue_s: Distribution
    tbt_s: Distribution
    batch: Batch
    iterations: int
    iteration_s: Iteration
    utilization: Utilization
    bubbles: Bubbles
    host_s: HostTime
    gpu_time_s: dict[str, float]
    energy_j: Energy
    kv: Kv
    balance: Balance
    slo: Slo
    prediction: Prediction
    saturated: bool
    invariants: Literal["ok"] | list[str]
    exchange: Exchange
    provenance: Provenance
    warnings: list[str]

    @property
    def broken(self) -> list[str]:
        """Invariants that do not hold; where there are any, no number is to be trusted."""
        return self.invariants if isinstance(self.invariants, list) else []

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `json.dumps` takes them; in the order of docs/report.md."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a report; fields of newer versions are left out.

        Raises:
            InvalidInput: it is no report, or lacks a field; by the field's name.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.ValidationError as error:
            raise InvalidInput(_violation(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(("report", f"is no JSON ({error}); give a report.json of `--out`")) from None


def _violation(text: str) -> tuple[str, str]:
    """(path of the field, what is wrong with it) of what msgspec says."""
    if missing := _MISSING.match(text):
        path = ".".join(part for part in ("report", missing["at"], missing["field"]) if part)
        return path, "is missing; the report is damaged, or of another version"
    if wrong := _WRONG.match(text):
        return f"report.{wrong['at']}", wrong["what"]
    return "report", text
