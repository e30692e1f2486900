"""Where K and V of a head group lie, and why there.

A *head group* is 8/N_hc KV heads of one request and layer. Head h of a group lies on chips [h*N_hc,
(h+1)*N_hc), and chip i of a head holds elements [i*e, (i+1)*e) of its K and V, e = E_h / N_hc; so no element
is split over chips, and a bank's unit can use what its bank reads. All chips hold their part at the same
bank, row and column, and run in lockstep. A *row block* is one row of all banks of all chips.

K, for the score: token t of a row block lies in bank t mod 16, so that all banks work on any sixteen
successive tokens; there at token slot s = t div 16, columns [s*c, (s+1)*c), c = e / 4. Q is the same for all
of them, and comes from the shared buffer.

    chip i, bank b, row of K   | token b          | token 16+b       | token 32+b       | ...
      (E_h 128, N_hc 8)        | e 0-3 4-7 .. -15 | e 0-3 4-7 .. -15 |                  |
                         column  0    1       3     4    5       7

V, for the context: dimension d of the chip's part lies in bank d mod 16 at dimension slot s = d div 16 of D =
e / 16, and a column holds four successive tokens of it. So S, too, is the same for all banks, and each bank
finishes its own dimensions: an output is collected once and not once a bank.

    chip i, bank b, row of V   | tokens 0-3       | tokens 4-7       | ...
      (E_h 128, N_hc 1, D 8)   | dim b  16+b .. 112+b | dim b  ..    |
                         column  0     1        7       8

Both rows hold 64 * N_hc tokens at E_h = 128. A new token's K is one run of columns in one bank; of its V
every bank gets D columns, of which two bytes are written under the data mask. With `pu: rank` nothing is
computed in the chips: K and V lie as the host would write them, a 64-byte burst over all chips, banks of four
groups in turn.

With `pu: bank-group` (HBM) a unit has the u banks of its group, which stand for one bank of u rows: the
columns of bank g come first, then those of bank g + groups, and so on. Below, "bank" is what one unit reads.

Source: arXiv 2504.17584 for heads over chips and tokens over banks; V by dimension is our reading.
"""

from dataclasses import dataclass
from functools import cached_property

from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.rank import RankConfig


@dataclass(frozen=True)
class Geometry:
    """Sizes of one head group on one rank.

    Attributes:
        banks: of a chip. queries: N_gqa, query heads of a KV head. chips_per_head: N_hc.
        unit_banks: banks that share a unit.
    """

    chips: int
    bank_groups: int
    banks: int
    row_bytes: int
    column_bytes: int
    head_size: int
    queries: int
    chips_per_head: int
    unit_banks: int = 1

    @property
    def units(self) -> int:
        """Units of a chip."""
        return self.banks // self.unit_banks

    @property
    def heads(self) -> int:
        """KV heads of a group."""
        return self.chips // self.chips_per_head

    @property
    def column_elements(self) -> int:
        """Elements that one bank gives its unit at once."""
        return self.column_bytes // ELEMENT_BYTES

    @property
    def row_columns(self) -> int:
        """Columns that one unit reads of a row block."""
        return self.unit_banks * self.bank_columns

    @property
    def bank_columns(self) -> int:
        """Columns of a row."""
        return self.row_bytes // self.column_bytes

    @cached_property
    def chip_elements(self) -> int:
        """e: elements of one token's K or V in one chip."""
        return self.head_size // self.chips_per_head

    @cached_property
    def token_columns(self) -> int:
        """c: columns of one token's K in its bank."""
        return self.chip_elements // self.column_elements

    @cached_property
    def bank_dims(self) -> int:
        """D: dimensions of V in one bank."""
        return self.chip_elements // self.units

    @cached_property
    def k_slots(self) -> int:
        """Tokens of K in one bank's row."""
        return self.row_columns // self.token_columns

    @cached_property
    def k_row_tokens(self) -> int:
        """Tokens of K in a row block."""
        return self.k_slots * self.units

    @cached_property
    def v_row_tokens(self) -> int:
        """Tokens of V in a row block."""
        return self.row_columns // self.bank_dims * self.column_elements

    def k_place(self, token: int) -> tuple[int, int, int]:
        """(row block, bank, first of `token_columns` columns) of a token's K."""
        block, inside = divmod(token, self.k_row_tokens)
        slot, bank = divmod(inside, self.units)
        return block, bank, slot * self.token_columns

    def v_place(self, token: int, dim: int) -> tuple[int, int, int, int]:
        """(row block, bank, column, element of the column) of a token's V.

        Args:
            dim: of the chip's part, 0 to chip_elements - 1.
        """
        block, inside = divmod(token, self.v_row_tokens)
        quad, element = divmod(inside, self.column_elements)
        slot, bank = divmod(dim, self.units)
        return block, bank, quad * self.bank_dims + slot, element

    def bank_of(self, unit: int, column: int) -> int:
        """The bank in which a column of a unit's row block lies."""
        return unit + column // self.bank_columns * self.units


def geometry_of(pim: RankConfig, model: ModelShape, layout: Layout) -> Geometry:
    """The head group of a model on a rank of a module.

    Raises:
        InvalidInput: heads do not divide evenly over chips, columns and banks; nothing is placed then.
    """
    made = Geometry(
        chips=pim.chips_per_rank,
        bank_groups=pim.bank_groups,
        banks=pim.banks_per_chip,
        row_bytes=pim.row_bytes,
        column_bytes=pim.column_bytes,
        head_size=model.head_size,
        queries=model.queries_per_kv,
        chips_per_head=layout.chips_per_head,
        unit_banks=pim.unit_banks,
    )
    _check(made)
    return made


def _check(made: Geometry) -> None:
    if made.banks % made.bank_groups:
        raise InvalidInput(("bank_groups", f"{made.banks} banks do not form {made.bank_groups} groups"))
    nhc, size = made.chips_per_head, made.head_size
    if made.chips % nhc:
        raise InvalidInput(("n_hc", f"{made.chips} chips cannot be shared by heads of {nhc}; use a divisor"))
    if size % nhc or (size // nhc) % made.column_elements:
        text = f"a head of {size} elements over {nhc} chips does not fill columns of {made.column_elements}"
        raise InvalidInput(("n_hc", f"{text}; lower n_hc, or use another model"))
    if (size // nhc) % made.units:
        text = f"a head of {size} elements over {nhc} chips has {size // nhc} dimensions a chip"
        raise InvalidInput(("n_hc", f"{text}, no multiple of {made.units} banks; lower n_hc"))
    if max(made.token_columns, made.bank_dims) > made.row_columns:
        text = f"a row of {made.row_bytes} bytes cannot hold a token's K of {made.token_columns} columns"
        raise InvalidInput(("row_bytes", f"{text}; raise n_hc"))
