"""What modules refuse at their start and at Hello, by name."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import InvalidInput, NotFound
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.work import Hello
from tests.services.builders import identities, reshaped
from tests.services.dimm_pim.test_device import job


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"cd_l_tck": 8}, "did you mean 'ccd_l_tck'"),
        ({"ccd_l_tck": -1}, "d0.ccd_l_tck: Expected `int` >= 1, got -1"),
        ({"n_hc": 4}, "d0.n_hc: belongs to the whole machine"),
        ({"ranksets": 2}, "d0.ranksets: belongs to the whole machine"),
    ],
)
def test_overrides_that_are_refused_at_start(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        DimmPimDevice(identities([0], {0: overrides}))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slot": "gpu"}, "gpu: is no slot for role attention"),
        ({"config": {"kind": "gpu"}}, "dimm-00.kind: must be 'dimm-pim' here, got 'gpu'"),
        ({"assignments": ()}, "dimm-00: has 2 ranks but got 0 assignments"),
    ],
)
def test_assignments_that_are_refused(change: dict[str, Any], message: str) -> None:
    session = job(reshaped("llama-2-7b"), modules=[0])
    with pytest.raises(InvalidInput) as caught:
        DimmPimDevice(identities([0])).open(changed(session, **change))
    assert message in str(caught.value)


def changed(session: Hello, **change: Any) -> Hello:
    return replace(session, slots=(replace(session.slots[0], **change),))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "level",
            "exact",
            "dimm-00.level: unknown level 'exact' (there are: command, fast, ideal, roofline)",
        ),
        ("ccd_l_tck", 0, "dimm-00.ccd_l_tck: d0: Expected `int` >= 1, got 0"),
        ("colour", "red", "dimm-00.colour: d0: unknown key 'colour'"),
        ("softmax_elements_per_s", 1e-12, "check the rates of its configuration"),
    ],
)
def test_configurations_that_are_refused(key: str, value: Any, message: str) -> None:
    session = job(reshaped("llama-2-7b"), modules=[0])
    with pytest.raises(InvalidInput) as caught:
        DimmPimDevice(identities([0])).open(changed(session, config={**session.slots[0].config, key: value}))
    assert message in str(caught.value)


def test_a_stranger_is_not_found() -> None:
    with pytest.raises(NotFound, match="unknown device 'd1'"):
        DimmPimDevice(identities([0])).open(job(reshaped("llama-2-7b"), modules=[1]))
