"""The plan that rounds run under: how many rounds may be foreseen, and when it ends.

Rules of scheduling points: docs/time.md#scheduling-points.
"""

from l3sim.orchestrator.engine.host_stages import Limits
from l3sim.orchestrator.engine.membership import Membership
from l3sim.orchestrator.engine.policies.base import Plan
from l3sim.orchestrator.engine.reasons import Because, Blocked


class OpenPlan:
    """A plan that was applied and has not ended.

    Attributes:
        plan: what the policy decided.
        rounds: taken of it so far.
    """

    def __init__(self, plan: Plan, members: Membership, limits: Limits) -> None:
        self.plan, self.rounds = plan, 0
        self._members, self._books, self._limits = members, members.books, limits
        # KV that moves goes down in the first round, as that of chunks does.
        self._prefills = any(part.chunks for part in plan.passes) or bool(members.books.kv.arriving)
        self._arrived = False

    def rounds_to_ask(self) -> int:
        """k, the rounds of the next window: the least of what may end it early."""
        plan, table = self.plan, self._books.table
        if self._prefills:
            return 1
        if plan.blocked == Blocked.GPU_MEMORY and self._books.gpu.waits:
            return 1  # the join at which the head's memory comes free is a scheduling point
        decode = plan.decode
        to_finish = int((table.output[decode] - table.emitted[decode]).min())
        left = plan.horizon - self.rounds
        most = min(to_finish, left, self._limits.max_window, self._limits.lookahead)
        return self._books.kv.rounds_of_room(decode, most)

    def ended_by(self, arrived: bool, freed: bool) -> Because:
        """Why the join just reached is a scheduling point, if it is one.

        Args:
            arrived: whether a request has, since the join before it.
            freed: whether GPU memory came free at it.
        """
        self._arrived |= arrived
        queue, kv = self._members.queue, self._books.kv
        if self._members.finished:
            return Because.FINISHED
        if self._prefills:
            return Because.CHUNK
        if kv.lacks_room():
            return Because.ROOM
        if self.rounds >= self.plan.horizon:
            return Because.HORIZON
        if freed and self.plan.blocked == Blocked.GPU_MEMORY:
            return Because.GPU_MEMORY
        if self._arrived and len(queue):
            head = queue.head
            view, booking = kv.view(), self._books.table.booking(head)
            if view.fits(booking, head) or view.fits(booking, head, on_gpus=True):
                return Because.ARRIVAL
        return Because.NOTHING
