"""Digests of what ran: of each device as it answered, and of the job on them.

`ResolvedJob.digest` is of the job as submitted: the request, the model, the machine file. What devices were
started with, and which devices they are, is known when they have answered Hello; the two make the digest of
the job as it ran. Ids, addresses and how devices share processes are in none of them.
"""

import json
from collections.abc import Mapping
from typing import Any

from l3sim.orchestrator.report.resources import FilledSlots
from l3sim.specs.machine import digest_of
from l3sim.work import DeviceDescription, DeviceReady


def device_digest(described: DeviceDescription, ready: DeviceReady) -> str:
    """Of all that can change what a device answers: equal devices, equal digests, whatever their slots."""
    return digest_of(
        [
            [described.role, described.kind, described.version],
            [ready.level, ready.config, _not_in(ready.config, described.overrides_json)],
            list(ready.domains),
            [[region.name, region.capacity_bytes, region.granule_bytes] for region in ready.regions],
            ready.idle_mw,
        ]
    )


def digest_as_run(submitted: str, devices: FilledSlots) -> str:
    """Of a job on the devices that filled its slots: equal digests, equal reports but for `exchange`.

    Args:
        submitted: digest of the job as submitted.
    """
    filled = sorted((slot, device_digest(described, ready)) for slot, described, ready in devices)
    return digest_of([submitted, filled])


def _not_in(config: Mapping[str, Any], overrides_json: str) -> Any:
    """Overrides that the resolved configuration does not show, as a stranger's may not."""
    try:
        overrides = json.loads(overrides_json or "{}")
    except ValueError:
        return overrides_json
    if not isinstance(overrides, dict):
        return overrides
    return {key: value for key, value in overrides.items() if config.get(key) != value}
