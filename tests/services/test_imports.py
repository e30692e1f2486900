"""Device processes start quickly and stay small: no compiler, no learner, no command line."""

import subprocess
import sys

import pytest

HEAVY = (
    "numba",
    "llvmlite",
    "sklearn",
    "scipy",
    "typer",
    "rich",
    "ruamel",
    "l3sim.orchestrator",
    "l3sim.clients",
    "l3sim.launch",
)


SERVICES = ("gpu", "dimm_pim", "hbm_pim", "cpu_attention", "interconnect")


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_device_process_does_not_import(service: str) -> None:
    others = {*SERVICES} - {service}
    heavy = (*HEAVY, *(f"l3sim.services.{other}" for other in sorted(others)))
    code = (
        f"import l3sim.transport.serve, l3sim.services.{service}.device, sys; "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("service", SERVICES)
def test_models_know_no_network(service: str) -> None:
    code = (
        f"import l3sim.services.{service}.model, sys; "
        "print([m for m in ('grpc', 'google.protobuf', 'aiomqtt', 'l3sim.transport', 'l3sim.v1') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
