"""What devices say of themselves, as every transport passes it on."""

from collections.abc import Sequence
from dataclasses import replace

from l3sim.origin import version_of
from l3sim.ports import Device
from l3sim.work import DeviceDescription


def described(device: Device) -> Sequence[DeviceDescription]:
    """`device.describe()`, with a stranger's code in the version: other code, other digests of its jobs."""
    kind = type(device)
    return [replace(one, version=version_of(kind, one.version)) for one in device.describe()]
