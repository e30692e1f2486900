"""What docs/generated/dimm-pim-results.md says around its tables; read it again when one changes."""

INTRODUCTION = """# Results of the DIMM-PIM model

Made by `python -m benchmarks.dimm_pages`; edit [its texts](../../benchmarks/dimm_texts.py) or the code, not
this page. All numbers are predictions of the model that [dimm-pim.md](../dimm-pim.md) describes: one layer on
`l3-dgx-a100` (64 ranks, 13.1 TB/s inside the chips), equal decoding requests, placed as the engine places
them on an empty machine. Every point is one command:

```console
$ ./l3 probe dimm-pim --model gpt-175b --batch 16 --context 8192 --level command
```"""

TEXTS: dict[str, tuple[str, str]] = {
    "bandwidth": (
        """## Effective against peak bandwidth

KV bytes of all requests / time of the slowest rank, as a share of what all banks give, at level `fast`.
Columns are tokens attended; an empty cell does not fit 2 TiB.""",
        """![Effective bandwidth](dimm-pim-bandwidth.svg)

The ceiling is 82 %. A row holds 128 columns, which take 128 x CCD_L = 1,024 cycles; until the next row's
first column, 162 more pass, of which nothing hides (RTP + RP + sixteen activations under FAW + RCD, less a
CCD_L): 1024 / 1186 = 86 %. Refresh takes RFC / REFI = 4.5 % of what is left. Short contexts lose more, to
what each head group pays once: writing the new token, half-filled rows, both ends of the pipelines.

Few requests stay far below, because ranks idle. The layer of one request lies on one rankset of four, so
`gpt-175b` with one request reaches a quarter. `opt-66b` runs four replicas, and one request uses one of
them. `qwen-72b` has N_hc = 1 under GQA-8: a request is one head group a layer, and keeps one rank of 64
busy. (In the machine the next layers use the other ranksets, and another sub-batch runs beside.)""",
    ),
    "where": (
        """## Where the time goes

Exposed time of the slowest rank: every cycle has one cause, and what hides behind the banks' work is
nowhere. Level `command`.""",
        """![Where the time goes](dimm-pim-time.svg)

The banks' columns set the pace in all three; the outer bus is 60 % busy and hides behind them. Rows come
second, with one sixth of the columns' time. Energy is nearly all columns, too: a row is opened once for 128
of them. With GQA-8 eight multiplications share a column, so logic grows to a fifth.""",
    ),
    "mechanisms": (
        """## What each mechanism is worth

The same point with one switch thrown, level `command`; time and energy by those of the machine file, whose
N_hc is 8, 8 and 1.""",
        """![Time by switch](dimm-pim-mechanisms.svg)

- **Pipelining** is worth nearly a factor of two. Without it not only bytes are exposed, but the latencies
  of every chunk as well: CAS, adders, exponentials. Chunks of 512 tokens pay these less often; the bytes
  remain. GQA-8 has no larger chunks, because a row holds 64 tokens at N_hc = 1.
- **The FAW exemption** is worth 9 %. Sixteen activations take 114 cycles with four in each window of 34,
  and one with the exemption. What remains of `row` is RTP, RP and RCD.
- **Overlap of head groups** hides the outputs' way: 1 to 2 % of a short context, nothing of a long one, nor
  where a rank has a single group.
- **Refresh** is RFC / REFI = 4.5 %, whatever runs.
- **Re-layout by the CPU** adds copies of q, k and v on the rank's bus: 5 to 7 % of a short context, 1 % of
  a long one. What it costs the link (`link.relayout`) is not in here. The unit costs no time, since it
  turns bytes that pass it anyway.
- **Units at the rank** (R-PIM) have an eighth of the bandwidth, and are only 6.9 times slower at long
  contexts: reading over the bus reaches 94 % of its peak, as rows close and open once for sixteen banks
  that are read one by one. Energy is 2.4 to 2.8 times as much: every byte of K and V leaves the chips.
- **N_hc under MHA** hardly matters for time: 1, 2, 4 and 8 are all within the bound. Smaller ones save
  energy (N_hc times as many sums are collected), and share out more unevenly: with N_hc = 1 `gpt-175b` has
  12 groups a request for 16 ranks, so that the slowest rank gets 4 groups where 3 is the mean. With N_hc =
  2 it happens to come out even.
- **A surprise:** `qwen-72b` with 16 requests is fastest at N_hc = 4, full of bubbles, not at 1, which the
  formula picks. A request then has 4 groups and all 64 ranks work, instead of 16. The formula asks what one
  rank does best. At N_hc = 8 a group takes as long as at 4, since the bus is full, and there are twice as
  many: slower than N_hc = 1.
- **N_cmr = 1** reads KV once for every query. There is then more to compute for each sum, so that the
  formula gives N_hc = 8 for `qwen-72b`: 1.7 times the time, six times the energy. MHA has one query a head:
  nothing changes.
- **A host transfer** of 4 KiB between score and context adds what it takes on the bus; under GQA-8 it hides
  behind the exponentials and the sums that are still on their way.""",
    ),
    "chips": (
        """## At which N_hc bubbles begin

One head group over 16,384 tokens; N_gqa query heads share a KV head; level `command`. By the formula (arXiv
2504.17584) there is no bubble while T_comm <= T_comp, here N_hc <= 8 / N_gqa. `collect` and `stream` are
the shares of time in which the banks wait for sums to leave, and for S to come.""",
        """![Bubbles by N_hc](dimm-pim-bubbles.svg)

The commands agree with the formula on which powers of two are free of bubbles: every one up to a ratio of
1, none beyond. Beyond it, a larger N_hc wins nothing on the rank: the outer bus is 95 % busy, and the rest
is refresh.""",
    ),
    "buses": (
        """Between the powers of two, a slower outer bus shows the onset: MHA, N_hc = 8, CCD_S in cycles
(DDR4-3200 has 4).""",
        """Where the two differ, and why:

- **Bubbles begin later**, at a ratio of 1.16 instead of 1: the formula leaves rows out. The columns of a
  row take 1,024 cycles, and its sums may take 1,186 until the banks wait, as the next row opens meanwhile.
  `rows in it` is the formula with that: what sums take beyond 1,186 cycles, for each row of K.
- **They are smaller.** At a ratio of 2 a group takes 36 % longer; the formula says 50 %.
- **A surprise:** CCD_S of 5 and 7 cost more than their rate. The command bus takes one command a cycle, and
  a burst whose cycle belongs to a MAC goes a cycle later. With a MAC every 8 cycles and bursts every 7, a
  burst that was once late meets the next MAC again, so that bursts come every 8 cycles for as long as MACs
  do. At even steps they never meet. DDR4-3200 has 4.
- **The context has a bound of its own.** S has 2 bytes where sums have 4, so streaming binds at twice the
  ratio: in the table above from 4 on.
- **Ends remain.** The first chunk waits for no other, the last one for its sums. Under GQA-8 the score buffer
  holds 4,096 tokens, so that a long context has such ends in every segment: the 1.8 % at GQA-8 and N_hc =
  1.""",
    ),
    "levels": (
        """## Level `fast` against level `command`

Both levels at every point of the first table that fits: contexts 512 to 65,536, 1 to 256 requests. Level
`command` takes a second at most for each.""",
        """Allowed is the larger of 0.5 % and 2 cycles (0.00125 us). `fast` is the command level's own
pattern carried on, so what differs is a few cycles where one head group begins while another ends: most for
short contexts of many groups.""",
    ),
}
