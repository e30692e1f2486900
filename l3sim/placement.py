"""Where KV lies: ranksets, ranks, head groups.

A *rankset* is one rank from every channel. Replica d of DP owns channels [d*C/DP, (d+1)*C/DP), which is
`ranks` ranks in each of `ranksets` ranksets. A *head group* is `heads_per_group` KV heads of one request
and layer; it fills one rank's chips in lockstep. A request placed at (offset o, rank b) has

    layer l, head group g   on rankset (o + l) mod ranksets, rank (b + g) mod ranks

            layer 0        layer 1        layer 2        layer 3      (o = 1, b = 0, 2 groups)
    R_0   .  .  .  .     .  .  .  .     .  .  .  .     g0 g1 .  .
    R_1   g0 g1 .  .     .  .  .  .     .  .  .  .     .  .  .  .
    R_2   .  .  .  .     g0 g1 .  .     .  .  .  .     .  .  .  .
    R_3   .  .  .  .     .  .  .  .     g0 g1 .  .     .  .  .  .
    rank  0  1  2  3     0  1  2  3     0  1  2  3     0  1  2  3

so every rankset moves and computes the same share, and costs repeat with l mod ranksets.
Source: arXiv 2504.17584, rankset-granular overlap; the formula is our reading of it.

With `attention.partition: block` these are the *first* ranks: a head group's KV of a layer goes round the
ranks of its rankset, `stripe_tokens` at a time. Stripe k of head group g lies on rank (b + g + k) mod ranks:

    tokens   0 .. S-1   S .. 2S-1   2S .. 3S-1   3S .. 4S-1   4S ..
    rank     b+g        b+g+1       b+g+2        b+g+3        b+g       (4 ranks)

so what lies q ranks from the first one is what a request placed q ranks further would have there, and every
table by placement and rank serves both. A rank attends over what it holds, and the GPUs merge the results.
Source: the split of attention over parts of the context, with a running maximum and sum of each, is that of
FlashDecoding; the formula is ours.

Tokens of a head group come in *blocks*. By default a block is what one row of all banks and chips of the rank
holds, once for K and once for V, so that no row is shared and an all-bank command reads one request's KV:

    tokens       0 ... B-1   B ... 2B-1  2B ... (one token of it)
    K rows      [  row 7  ] [  row 9  ] [ row 30: the rest is lost until the request grows ]
    V rows      [  row 8  ] [  row 10 ] [ row 31 ]             B = row bytes x banks x N_hc / (2 x head size)
"""

from l3sim.specs.attention import Assignment, AttentionSection
from l3sim.specs.layout import DecodePlacement, Layout
from l3sim.specs.model import ModelShape

__all__ = ["DecodePlacement", "Layout", "kv_room_bytes", "layout_of", "rank_assignments"]


def layout_of(attention: AttentionSection, model: ModelShape, tp: int, dp: int) -> Layout:
    """Lay a job over a machine's attention devices, or over its GPUs.

    Raises:
        InvalidInput: channels are not a multiple of `dp`, or blocks do not go with rows.
    """
    return attention.layout(model, tp, dp)


def rank_assignments(attention: AttentionSection, layout: Layout, device: int) -> list[Assignment]:
    """(replica, rankset, rank, unused) of each rank of a device of the attention role."""
    return attention.rank_assignments(layout, device)


def kv_room_bytes(attention: AttentionSection, layout: Layout, model: ModelShape) -> int:
    """KV bytes that one rank of an attention device may hold; 0 where nothing is left."""
    return attention.kv_room_bytes(layout, model)
