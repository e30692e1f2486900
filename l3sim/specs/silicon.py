"""What the chips of a memory module are made of: for people who ask, no model computes with it."""

from typing import Annotated

from msgspec import Meta

from l3sim.specs.section import NonNegative, Positive, Section

Gigabits = Annotated[int, Meta(ge=1, le=1024)]


class Silicon(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Density and area of a die; none: not said."""

    die_gbit: Gigabits | None = None  # density of the die that refresh and currents are of
    die_mm2: Positive | None = None
    bank_unit_mm2: NonNegative | None = None  # one unit beside a bank, in a logic process
    buffer_mm2: NonNegative | None = (
        None  # the buffer that units share, likewise: of a chip; of a stack's buffer die
    )
    process_factor: Positive | None = None  # area in a DRAM process, against the logic process


#: What no level reads.
SILICON_KEYS = frozenset(Silicon.__struct_fields__)
