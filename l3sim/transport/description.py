"""What devices say of themselves, as every transport passes it on."""

from collections.abc import Sequence
from dataclasses import replace

from l3sim.errors import InvalidInput, L3Error
from l3sim.kinds import reason
from l3sim.origin import is_ours, version_of
from l3sim.ports import Device
from l3sim.transport.convert.session import description_to_proto
from l3sim.work import DeviceDescription


def described(device: Device) -> Sequence[DeviceDescription]:
    """`device.describe()`, with a stranger's code in the version: other code, other digests of its jobs.

    Raises:
        InvalidInput: it fails, or says what the contract cannot; names the file of a stranger's kind.
    """
    kind = type(device)
    try:
        told = [replace(one, version=version_of(kind, one.version)) for one in device.describe()]
        if not is_ours(device):
            for one in told:
                description_to_proto(one)
    except L3Error:
        raise
    except Exception as error:
        name = getattr(device, "kind", "a device")
        raise InvalidInput(("kind", f"{name!r} cannot be described: {reason(error, device)}")) from error
    return told
