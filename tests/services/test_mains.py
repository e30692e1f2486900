"""Every service runs as a process: its `__main__` serves its own class, with the words it was given."""

import runpy
from collections.abc import Sequence
from typing import Any

import pytest

from l3sim.transport import server
from tests.root import ROOT

SERVICES = (
    "l3sim.services.cpu_attention",
    "l3sim.services.dimm_pim",
    "l3sim.services.gpu",
    "l3sim.services.hbm_pim",
    "l3sim.services.interconnect",
)


def test_all_services_are_among_them() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert {f"l3sim.services.{folder}" for folder in folders} == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_it_serves_its_own_class(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    def device_main(device: Any, role: str, kind: str, argv: Sequence[str]) -> int:
        served.append((device.__module__, role == device.role, kind == device.kind, kind, list(argv)))
        return 7

    monkeypatch.setattr(server, "device_main", device_main)
    monkeypatch.setattr("sys.argv", ["it", "--id", "me"])
    with pytest.raises(SystemExit, match="7"):
        runpy.run_module(service, run_name="__main__")
    kind = service.rpartition(".")[2].replace("_", "-")
    assert served == [(f"{service}.device", True, True, kind, ["--id", "me"])]
