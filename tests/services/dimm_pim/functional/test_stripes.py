"""KV in stripes on real bytes: parts of the context on several ranks, merged, against float64 and one rank.

Two ranks a rankset, on one address each; stripes of 32 tokens, a row block. Two head groups of four KV heads.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l3sim.errors import InvariantBroken, OutOfStep
from l3sim.functional import Attend, Attended, Offload, Partials, ReadBack, Returned, joined, merged
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.interconnect.functional import FunctionalLink
from l3sim.testing.builders import small_window
from tests.l3sim.transport.equal import same
from tests.services.builders import hello, identities
from tests.services.dimm_pim.functional import test_session_memory as whole
from tests.services.dimm_pim.functional.builders import reference

STRIPED = {"partition": "block", "stripe_tokens": 32}


async def told(transport: str, **settings: Any) -> tuple[list[Any], list[Any], dict[Any, Any]]:
    """The conversation of the other tests, whose requests grow to 39 and 34 tokens, with stripes."""
    whole.RNG = np.random.default_rng(5)
    async with whole.ports(transport, whole.small(**settings)) as opened:
        return await whole.conversation(opened)


def outputs_of(answers: Sequence[Any], works: Sequence[Any]) -> list[Any]:
    """Merged outputs of every Attend."""
    return [merged(some) for some, work in zip(answers, works, strict=True) if isinstance(work, Attend)]


@pytest.mark.parametrize("settings", [{}, {"pu": "rank"}], ids=["units at banks", "units at the rank"])
async def test_merged_outputs_are_those_of_one_rank_and_of_float64(settings: dict[str, Any]) -> None:
    answers, works, kv = await told("in-process", **STRIPED, **settings)
    plain, again, _ = await told("in-process", **settings)
    assert same(
        [work.q for work in works if isinstance(work, Attend)], [w.q for w in again if isinstance(w, Attend)]
    )
    on, model = whole.small(**settings), whole.shape()
    session = hello("attention", on, model, 1, modules=range(4))
    kernel = kernel_of(on.attention, model, session.layout)
    attends = [work for work in works if isinstance(work, Attend)]
    held = {(request, layer): tokens for request, tokens in ((0, 37), (7, 32)) for layer in range(3)}
    both = zip(outputs_of(answers, works), outputs_of(plain, again), attends, strict=True)
    for striped, alone, work in both:
        for number, request in enumerate(work.requests):
            held[request, work.layer] += 1
            k, v = (data[: held[request, work.layer]] for data in kv[request, work.layer])
            expected, bound = reference(kernel, work.q[number].reshape(6, 4, 32), k, v, parts=2)
            found = striped[number].reshape(6, 4, 32)
            assert (abs(found - expected) <= bound).all()
            assert (abs(found.astype(float) - alone[number].reshape(6, 4, 32)) <= 2 * bound).all()
    assert min(held.values()) > 32


async def test_both_transports_answer_byte_for_byte_and_all_is_read_back() -> None:
    answers, _, kv = await told("in-process", **STRIPED)
    assert same(answers, (await told("grpc", **STRIPED))[0])
    for name, data in zip("kv", kv[0, 2], strict=True):
        back = joined([(getattr(answer, name), answer.present) for answer in answers[-1]])
        assert np.array_equal(back, data[5:39])


async def test_each_rank_has_its_tokens_and_the_new_one_is_written_once() -> None:
    """Request 0 has 37 tokens: stripe 0 on its first rank, 5 tokens and the new one on the other."""
    answers, works, _ = await told("in-process", **STRIPED)
    on, model = whole.small(**STRIPED), whole.shape()
    kernel = kernel_of(on.attention, model, hello("attention", on, model, 1, modules=range(4)).layout)
    first = next(at for at, work in enumerate(works) if isinstance(work, Attend))
    took = {int(ps) for answer in answers[first] for ps in answer.duration_ps}
    # On each rank the 32 tokens of one head group, and what follows of the other one.
    calls = [([32, tail], [False, True]) for tail in (6, 1)] + [
        ([tail, 32], [True, False]) for tail in (6, 1)
    ]
    assert took <= {attend(kernel, tokens, appends=new).cycles * 625 for tokens, new in calls}
    parts = [answer.partials for answer in answers[first]]
    assert sorted(
        (int(r), int(h), int(s)) for p in parts for r, h, s in zip(p.request, p.head, p.step, strict=True)
    ) == [(request, head, step) for request in (0, 1) for head in range(6) for step in (0, 1)]
    assert all((part.ranks == 2).all() for part in parts)


async def test_partial_results_cross_the_link_as_they_are() -> None:
    answers, works, _ = await told("in-process", **STRIPED)
    first = next(at for at, work in enumerate(works) if isinstance(work, Attend))
    link, names = FunctionalLink(), ("top", "total", "output")
    for number, answer in enumerate(answers[first]):
        for name in names:
            link.send(("up", number), np.ascontiguousarray(getattr(answer.partials, name)).data)
    arrived = []
    for number, answer in enumerate(answers[first]):
        got = {
            name: np.frombuffer(link.receive(("up", number)), np.float32).reshape(
                getattr(answer.partials, name).shape
            )
            for name in names
        }
        arrived.append(replace(answer, partials=replace(answer.partials, **got)))
    link.close()
    size = sum(link.count(("up", number)).received_bytes for number in range(2))
    # Two requests of six KV heads on two ranks: 4 query heads of 32 elements, a maximum and a sum, FP32.
    assert size == 2 * 6 * 2 * 4 * (32 + 2) * 4
    assert np.array_equal(merged(arrived), merged(answers[first]))


async def test_a_missing_part_is_noticed() -> None:
    answers, works, _ = await told("in-process", **STRIPED)
    first = next(at for at, work in enumerate(works) if isinstance(work, Attend))
    some: list[Attended] = answers[first]
    with pytest.raises(InvariantBroken, match="nowhere, twice, or not all its ranks"):
        merged(some[:1])
    nothing = replace(some[1], partials=Partials.none(4, 32))
    with pytest.raises(InvariantBroken):
        merged([some[0], nothing])


def test_tokens_follow_each_other_over_ranks_and_a_released_request_is_forgotten() -> None:
    on = whole.small(**STRIPED)
    device = DimmPimDevice(identities(range(4)))
    session = device.open(hello("attention", on, whole.shape(), 1, modules=range(4)))
    session.window(small_window(1, places=whole.PLACES))
    k = whole.halves(70, 6, 32)
    session.functional(Offload(0, 0, 0, k[:33], k[:33]))
    with pytest.raises(OutOfStep, match="the next is token"):
        session.functional(Offload(0, 0, 40, k[40:], k[40:]))
    session.functional(Offload(0, 0, 33, k[33:], k[33:]))
    back = session.functional(ReadBack(0, 0, 0, 70))
    assert isinstance(back, Returned)
    assert np.array_equal(back.k, k)
    assert back.present.all()
    with pytest.raises(OutOfStep, match="cannot give"):
        session.functional(ReadBack(0, 0, 69, 2))
