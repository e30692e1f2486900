"""KV in stripes over ranks, of devices that list partition `block`: the same promises hold there."""

from dataclasses import replace

from l3sim.conformance import books, costs
from l3sim.conformance.story import question
from l3sim.conformance.subject import Subject
from l3sim.conformance.verdicts import Failed, Skipped
from l3sim.work import BLOCK, Costs, Op, Role

#: So small that the requests of a story go round the ranks, and that stripes begin within its windows.
BLOCK_TOKENS, STRIPE_TOKENS = 12, 36


async def lays_stripes(subject: Subject) -> None:
    """Costs, books and capacity are right where KV goes round the ranks, and merging is not free."""
    if BLOCK not in subject.description.partitions:
        raise Skipped(f"it lists no partition {BLOCK!r}")
    if subject.layout.on_gpu:
        raise Skipped("the GPUs attend here, and have no ranks")
    striped = striped_subject(subject)
    for ask in (
        costs.answers_all_shapes,
        costs.has_sane_units,
        costs.is_the_same_in_lockstep,
        costs.leaves_no_trace,
        costs.is_monotone,
        books.keeps_books,
    ):
        await ask(striped)
    if subject.description.role == Role.ATTENTION:
        await books.is_honest_about_capacity(striped)
    else:
        await _costs_partial_results(subject, striped)


def striped_subject(subject: Subject) -> Subject:
    """The same device in a job that lays KV in stripes."""
    layout = replace(subject.layout, kv_block_tokens=BLOCK_TOKENS, stripe_tokens=STRIPE_TOKENS)
    return replace(subject, layout=layout)


async def _costs_partial_results(subject: Subject, striped: Subject) -> None:
    """A request on several ranks needs no less of the link up, and more of the GPUs, than on a single one."""
    op = Op.TRANSFER_UP if subject.description.role == Role.LINK else Op.BLOCK_OUT
    window = question(1, [STRIPE_TOKENS * striped.layout.ranks], ranksets=subject.layout.ranksets)
    spent = []
    for one in (subject, striped):
        async with one.session() as talk:
            (answer,) = await talk.estimate([window])
        spent.append(_total_ps(answer, op))
    if spent[1] < spent[0] or (op is Op.BLOCK_OUT and spent[1] == spent[0] and striped.layout.ranks > 1):
        raise Failed(
            f"{op} of a request on {striped.layout.ranks} ranks takes {spent[1]} ps, on one {spent[0]}"
        )


def _total_ps(costs_: Costs, op: Op) -> int:
    return sum(int(cost.duration_ps.sum()) for cost in costs_.costs if cost.op == op)
