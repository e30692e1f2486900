"""A virtual L3 machine: a computer for serving language models whose memory modules compute.

    import l3sim
    result = l3sim.run("openr1", model="gpt-175b", requests=200)
    print(result.report.throughput_tokens_per_s)

docs/python.md shows all of it. What is offered here by name is loaded when it is asked for: `import l3sim`
alone loads nothing of ours, and a device's process stays small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l3sim.clients.blocking import BlockingClient
    from l3sim.clients.client import Client
    from l3sim.clients.job_spec import job_spec
    from l3sim.clients.result import Result
    from l3sim.errors import L3Error
    from l3sim.launch.api import Comparison, compare, run
    from l3sim.reports import Report
    from l3sim.specs.job import JobSpec
    from l3sim.specs.workload import WorkloadSpec

VERSION = "0.1.0"
#: As Python's packages are asked for theirs.
__version__ = VERSION

#: Version of the contract in `proto/l3sim/v1`. Compared for equality at Hello.
PROTOCOL_VERSION = 4

#: Where each name is at home.
_HOMES = {
    "BlockingClient": "l3sim.clients.blocking",
    "Client": "l3sim.clients.client",
    "Comparison": "l3sim.launch.api",
    "JobSpec": "l3sim.specs.job",
    "L3Error": "l3sim.errors",
    "Report": "l3sim.reports",
    "Result": "l3sim.clients.result",
    "WorkloadSpec": "l3sim.specs.workload",
    "compare": "l3sim.launch.api",
    "job_spec": "l3sim.clients.job_spec",
    "run": "l3sim.launch.api",
}

__all__ = [
    "PROTOCOL_VERSION",
    "VERSION",
    "BlockingClient",
    "Client",
    "Comparison",
    "JobSpec",
    "L3Error",
    "Report",
    "Result",
    "WorkloadSpec",
    "compare",
    "job_spec",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'l3sim' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
