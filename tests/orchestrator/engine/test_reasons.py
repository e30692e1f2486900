"""Words for why: false where there is nothing, written as they are, and all of them explained to people."""

import msgspec
import pytest

from l3sim.clients.decisions_view import _BLOCKED, _WHY
from l3sim.orchestrator.engine.reasons import Because, Blocked
from l3sim.orchestrator.policies import PassPlan, Plan


def test_nothing_is_false_and_everything_else_is_true() -> None:
    for reasons in (Because, Blocked):
        assert [bool(one) for one in reasons] == [one is not reasons.NOTHING for one in reasons]


def test_they_are_written_as_their_words() -> None:
    assert msgspec.json.encode([Because.GPU_MEMORY, Blocked.NOTHING]) == b'["gpu_memory",""]'


def test_people_are_told_each_of_them() -> None:
    assert _WHY.keys() == set(Because) - {Because.NOTHING}
    assert _BLOCKED.keys() == set(Blocked)


def test_a_plan_takes_a_word_and_refuses_one_that_is_none() -> None:
    nothing = (PassPlan(), PassPlan())
    assert Plan(nothing, blocked="kv").blocked is Blocked.KV  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'tired' is not a valid Blocked"):
        Plan(nothing, blocked="tired")  # type: ignore[arg-type]
