"""Our kinds of devices: the package that runs as a process, and the class that it serves.

Classes are imported when they are needed: who only starts processes waits for none of the models.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from l3sim.device import Identity
from l3sim.ports import Device


class Kind(NamedTuple):
    """A package `l3sim.services.x`, and its class in `l3sim.services.x.device`."""

    package: str
    device: str


KINDS: Mapping[str, Kind] = {
    "gpu": Kind("l3sim.services.gpu", "GpuDevice"),
    "dimm-pim": Kind("l3sim.services.dimm_pim", "DimmPimDevice"),
    "hbm-pim": Kind("l3sim.services.hbm_pim", "HbmPimDevice"),
    "cpu-attention": Kind("l3sim.services.cpu_attention", "CpuAttentionDevice"),
    "interconnect": Kind("l3sim.services.interconnect", "InterconnectDevice"),
}


def make_device(kind: str, identities: Sequence[Identity]) -> Device:
    """Devices of one of KINDS as their process would make them, in this process.

    Raises:
        InvalidInput: one device cannot differ from the others in what an override names.
    """
    made = KINDS[kind]
    return cast(Device, getattr(import_module(f"{made.package}.device"), made.device)(identities))
