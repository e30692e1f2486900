"""What must hold at the end of every run, checked cheaply: conservation, order, and counts that agree.

Books of KV are compared in `engine/reconcile.py`.
"""

from collections.abc import Sequence

from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.work import Account, Hello


def counts_differ(
    replicas: Sequence[Replica], hellos: Sequence[Hello], accounts: Sequence[Account]
) -> list[str]:
    """Where a device counted other windows or rounds than were committed to it."""
    by_slot = {account.slot: account for account in accounts}
    wrong = []
    for hello in hellos:
        for slot in hello.slots:
            mine = (
                {slot.assignments[0].replica} if slot.assignments else {replica.index for replica in replicas}
            )
            windows = sum(replica.metrics.windows for replica in replicas if replica.index in mine)
            rounds = sum(replica.metrics.rounds for replica in replicas if replica.index in mine)
            account = by_slot[slot.slot]
            if (account.windows, account.rounds) != (windows, rounds):
                counted = f"{account.windows} windows and {account.rounds} rounds"
                wrong.append(f"{slot.slot} counted {counted}, {windows} and {rounds} were committed")
    return wrong


def conservation(table: RequestTable, replicas: Sequence[Replica]) -> list[str]:
    """Requests, tokens, KV and time at the end of a job: what is wrong, in words."""
    wrong = []
    if not (table.phase == Phase.DONE).all():
        wrong.append(f"{int((table.phase != Phase.DONE).sum())} requests did not end")
    if not (table.emitted == table.output).all():
        wrong.append("a request made another number of tokens than it asked for")
    gaps = sum(int(replica.metrics.gaps.pairs()[1].sum()) for replica in replicas)
    if gaps != int((table.output - 1).sum()):
        wrong.append(f"{gaps} gaps between tokens, {int((table.output - 1).sum())} were due")
    if (table.arrival_ps > table.first_round_ps).any() or (table.first_stamp_ps > table.last_stamp_ps).any():
        wrong.append("a request was served before it came")
    for replica in replicas:
        wrong += [f"replica {replica.index}: {text}" for text in replica.kv.check_integrity()]
        wrong += _busy_once(replica)
    return wrong


def _busy_once(replica: Replica) -> list[str]:
    """No resource is busy for longer than there was time."""
    metrics = replica.metrics
    ranks = len(replica.kv.shape.rank_room_bytes)
    span = {"gpu": metrics.active_ps, "attention": metrics.active_ps * ranks}
    span |= dict.fromkeys(("link_down", "link_up"), metrics.last_event_ps)
    return [
        f"replica {replica.index}: {name} was busy for {metrics.busy_ps[name]} ps of {most}"
        for name, most in span.items()
        if metrics.busy_ps[name] > most
    ]
