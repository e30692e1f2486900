"""PCI Express: what a link carries each way, by generation and lanes; and GPUs that share a switch.

    raw rate = transfers/s x lanes x (share of the bits that the encoding leaves) / 8

Packet headers, acknowledgements and flow control come off that, and differ by chip set and payload size: they
are the machine file's `pcie_efficiency`.

    GPU 0 --link--+                       gpus_per_uplink = 2: two links behind one uplink of a switch,
    GPU 1 --link--+-- switch --uplink--   to the host; 1: a GPU's link is its uplink
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from l3sim.errors import InvalidInput

if TYPE_CHECKING:
    from l3sim.specs.config import LinkConfig

#: Transfers a second of one lane, and the share of bits that are not encoding, by generation.
#: Source: PCI-SIG base specifications 1.1 to 6.0: 8b/10b, then 128b/130b, then 236 of a FLIT's 256 bytes.
GENERATIONS: Mapping[int, tuple[float, Fraction]] = {
    1: (2.5e9, Fraction(8, 10)),
    2: (5.0e9, Fraction(8, 10)),
    3: (8.0e9, Fraction(128, 130)),
    4: (16.0e9, Fraction(128, 130)),
    5: (32.0e9, Fraction(128, 130)),
    6: (64.0e9, Fraction(236, 256)),
}
LANES = (1, 2, 4, 8, 16)


def raw_bytes_per_s(link: "LinkConfig") -> float:
    """What a GPU's link carries each way, packets included: as the file says, or by the table."""
    if link.pcie_bytes_per_s is not None:
        return link.pcie_bytes_per_s
    assert link.pcie_generation is not None  # by check_rate
    assert link.pcie_lanes is not None
    transfers_per_s, payload = GENERATIONS[link.pcie_generation]
    return transfers_per_s * link.pcie_lanes * payload.numerator / payload.denominator / 8


def check_rate(link: "LinkConfig", where: str) -> None:
    """Refuse a link whose rate is said twice, or not at all.

    Raises:
        InvalidInput: naming the key.
    """
    if link.pcie_bytes_per_s is not None:
        for key in ("pcie_generation", "pcie_lanes"):
            if getattr(link, key) is not None:
                text = "excludes pcie_bytes_per_s, which says the rate itself; make one of them null"
                raise InvalidInput((f"link.{key}", f"{where}: {text}"))
        return
    for key in ("pcie_generation", "pcie_lanes"):
        if getattr(link, key) is None:
            text = "missing; a link needs pcie_generation and pcie_lanes, or pcie_bytes_per_s"
            raise InvalidInput((f"link.{key}", f"{where}: {text}"))
    if link.pcie_lanes not in LANES:
        lanes = ", ".join(map(str, LANES))
        raise InvalidInput(("link.pcie_lanes", f"{where}: must be one of: {lanes}; got {link.pcie_lanes}"))


def check_uplinks(link: "LinkConfig", tp: int) -> None:
    """Refuse switches that cut a replica's GPUs unevenly.

    Raises:
        InvalidInput: neither of TP and GPUs of an uplink divides the other.
    """
    shared = link.gpus_per_uplink
    if shared % tp and tp % shared:
        text = f"{shared} GPUs of an uplink and {tp} of a replica (tp) do not divide each other; change one"
        raise InvalidInput(("link.gpus_per_uplink", text))
