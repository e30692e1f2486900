"""What the machine asks of its attention section, whatever kind it is of.

A configuration answers for itself: how many devices and channels there are, how a job's KV is laid over them,
what one rank holds. A kind of one's own is a struct that answers otherwise.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.specs.layout import DecodePlacement, Layout
from l3sim.specs.model import ModelShape
from l3sim.specs.section import Section

#: Keys of KV in stripes over ranks, which modules without ranks cannot have.
STRIPES = ("partition", "stripe_tokens")

#: (replica, rankset, rank, unused) of one rank of a device.
Assignment = tuple[int, int, int, bool]


class AttentionSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Devices in the attention slots, or the GPUs in their place."""

    placement: ClassVar[DecodePlacement] = DecodePlacement.ATTENTION

    @property
    @abstractmethod
    def devices(self) -> int:
        """Slots of role attention."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Memory channels of the machine; a channel has one rank of each rankset."""

    @property
    def rankset_count(self) -> int:
        """Ranksets in use."""
        return 1

    def replica_channels(self, dp: int) -> int:
        """Channels of one of `dp` replicas, which are the ranks of each of its ranksets.

        Raises:
            InvalidInput: channels are not a multiple of `dp`.
        """
        channels = self.channels
        if channels % dp:
            text = f"{channels} memory channels cannot be shared by {dp} replicas; use a divisor"
            raise InvalidInput(("dp", text))
        return channels // dp

    @abstractmethod
    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """How a job of `dp` replicas of `tp` GPUs is laid over the devices.

        Raises:
            InvalidInput: channels are not a multiple of `dp`, or blocks do not go with rows.
        """

    @abstractmethod
    def rank_assignments(self, layout: Layout, device: int) -> list[Assignment]:
        """(replica, rankset, rank, unused) of each rank of a device, which counts from 0."""

    @abstractmethod
    def kv_room_bytes(self, layout: Layout, model: ModelShape, gpu_left_bytes: int = 0) -> int:
        """KV bytes that one rank may hold; 0 where nothing is left.

        Args:
            gpu_left_bytes: GPU memory of a replica beside reserve and weights, for KV that lies there.
        """

    def prefill_bytes(self, left_bytes: int) -> int:
        """GPU memory for prefill KV on its way, of what reserve and weights leave."""
        return left_bytes

    @property
    def may_stripe(self) -> bool:
        """Whether a policy may say how a head group's KV lies over ranks: the section can, and does not."""
        return False

    @property
    def beside_gpus(self) -> bool:
        """Whether its memory is none of the GPUs', which then can attend beside it with theirs."""
        return self.placement is DecodePlacement.ATTENTION

    @property
    def kv_bytes_per_s(self) -> float | None:
        """What the units of the whole machine read of KV, all ranks in use; None: the kind does not say."""
        return None


def no_such_key(section: str, key: str, names: Sequence[str]) -> str:
    """Why a section has no such key.

    Args:
        names: of the keys that there are.
    """
    if section == "attention" and key in STRIPES:
        return f"has no {key}: a head's KV of a layer lies on one module here; only dimm-pim has stripes"
    return unknown("key", key, list(names))
