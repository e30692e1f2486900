"""Who fills which slot."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from l3sim.errors import NotReady
from l3sim.orchestrator.job.slots import assign_slots, check_layout, count_roles, fill_slots, natural
from l3sim.placement import DecodePlacement
from l3sim.specs.catalog import load_machine
from l3sim.specs.machine import Machine
from l3sim.testing.builders import small_layout
from l3sim.work import DeviceDescription, Op
from tests.orchestrator.fakes import device, mini_devices

MINI = load_machine("l3-mini")


def filled(present: Sequence[tuple[str, DeviceDescription]]) -> dict[str, str]:
    return {slot.slot: slot.device.device_id for slot in fill_slots(MINI, present)}


def test_slots_are_filled_in_order_of_device_id() -> None:
    assert filled(list(reversed(mini_devices()))) == {
        "gpu": "gpu-0",
        "link": "link-0",
        "dimm-00": "pim-0",
        "dimm-01": "pim-1",
        "dimm-02": "pim-2",
        "dimm-03": "pim-3",
    }


def test_a_requested_slot_comes_before_none() -> None:
    asking = [("a:1", device("z", requested_slot="dimm-01")), ("a:2", device("y", requested_slot="dimm-00"))]
    slots = filled([*mini_devices(), *asking])
    assert [slots[f"dimm-0{number}"] for number in range(4)] == ["y", "z", "pim-0", "pim-1"]


def test_numbers_in_names_count_as_numbers() -> None:
    names = [f"dimm-{number:02d}" for number in range(128)]
    assert sorted(names, key=natural) == names
    assert sorted(names) != names


def test_equal_numbers_written_differently_stay_apart() -> None:
    assert natural("dimm-1") != natural("dimm-01")


def test_a_device_without_stripes_is_named_where_the_layout_has_them() -> None:
    known = [(at, replace(one, partitions=("block",))) for at, one in mini_devices()]
    striped = small_layout(stripe_tokens=4)
    check_layout(fill_slots(MINI, known), striped)
    unknown = [(at, replace(one, partitions=()) if one.role == "link" else one) for at, one in known]
    check_layout(fill_slots(MINI, unknown), small_layout())
    text = r"^link: link-0 of kind interconnect does not list partition 'block', KV in stripes over ranks"
    with pytest.raises(NotReady, match=text):
        check_layout(fill_slots(MINI, unknown), striped)


def test_gpus_that_cannot_attend_are_named_where_they_attend_beside_modules() -> None:
    both = small_layout(decode=DecodePlacement.BOTH)
    dense = [Op.EMBED, Op.BLOCK_IN, Op.ATTEND_PREFILL, Op.BLOCK_OUT, Op.HEAD]
    unable = [
        (at, replace(one, operations=tuple(dense)) if one.role == "gpu" else one)
        for at, one in mini_devices()
    ]
    check_layout(fill_slots(MINI, unable), small_layout())
    with pytest.raises(NotReady, match=r"^gpu: gpu-0 of kind gpu does not list attend_decode, and the job's"):
        check_layout(fill_slots(MINI, unable), both)


def test_spare_devices_fill_nothing() -> None:
    present = [*mini_devices(), ("a:9", device("spare"))]
    assert "spare" not in filled(present).values()
    counts = {role.role: (role.needed, role.present) for role in count_roles(MINI, present)}
    assert counts == {"gpu": (1, 1), "attention": (4, 5), "link": (1, 1)}


def test_a_role_unfilled_is_named_with_needed_and_present() -> None:
    with pytest.raises(NotReady) as raised:
        fill_slots(MINI, mini_devices()[:-1])
    assert str(raised.value) == (
        "machine l3-mini: role attention needs 4 of kind dimm-pim, present 3; start what is missing"
    )


def test_every_lacking_role_is_named() -> None:
    with pytest.raises(NotReady, match=r"role gpu needs 1 .*; role attention needs 4 .*; role link needs 1"):
        fill_slots(MINI, [])


def test_another_kind_does_not_fill_a_slot_and_is_named() -> None:
    present = [*mini_devices()[:-1], ("a:7", device("strange", kind="hbm-pim"))]
    with pytest.raises(NotReady, match="present 3, of another kind: strange is hbm-pim"):
        fill_slots(MINI, present)


def test_another_role_does_not_fill_a_slot() -> None:
    with pytest.raises(NotReady, match="role gpu needs 1 of kind gpu, present 0;"):
        fill_slots(MINI, [*mini_devices()[1:], ("a:7", device("odd", role="link", kind="gpu"))])


def test_who_cannot_be_used_is_named() -> None:
    with pytest.raises(NotReady, match=r"present 3 \(not usable: pim-3: speaks version 2\); start"):
        fill_slots(MINI, mini_devices()[:-1], ["pim-3: speaks version 2"])


def test_of_many_who_cannot_be_used_some_are_named() -> None:
    with pytest.raises(NotReady, match=r"\(not usable: 0; 1; 2; and 5 more\)"):
        fill_slots(MINI, [], [str(number) for number in range(8)])


def test_an_incomplete_machine_is_filled_as_far_as_it_goes() -> None:
    slots = [slot.slot for slot in assign_slots(MINI, mini_devices()[1:3])]
    assert slots == ["dimm-00", "link"]


def chosen(**devices: str) -> Machine:
    return load_machine("l3-mini", devices=devices)


@pytest.mark.parametrize(("role", "kind"), [("link", "interconnect"), ("gpu", "gpu")])
def test_two_devices_where_one_is_allowed_are_refused_by_name(role: str, kind: str) -> None:
    present = [*mini_devices(), ("a:9", device("other", role=role, kind=kind))]
    with pytest.raises(NotReady) as raised:
        fill_slots(MINI, present)
    assert str(raised.value) == (
        f"machine l3-mini: role {role} has 1 slot, and 2 devices of kind {kind} contend for it: {role}-0, "
        f"other; stop some, or name in the machine file who fills it (devices.{role}: ID)"
    )


def test_spare_modules_that_differ_from_the_others_are_refused() -> None:
    present = [*mini_devices(), ("a:9", device("odd", overrides_json='{"level": "roofline"}'))]
    with pytest.raises(
        NotReady, match=r"role attention has 4 slots, and 5 .* contend for it: odd \.\.\. pim-3"
    ):
        fill_slots(MINI, present)


def test_the_machine_file_chooses_among_candidates_by_id_and_by_address() -> None:
    present = [*mini_devices(), ("a:9", device("other", role="link", kind="interconnect"))]
    for choice, wanted in (("other", "other"), ("link-0", "link-0"), ("link", "link-0"), ("a:9", "other")):
        filled = {slot.slot: slot.device.device_id for slot in fill_slots(chosen(link=choice), present)}
        assert filled["link"] == wanted
        assert {role.role: role.present for role in count_roles(chosen(link=choice), present)}["link"] == 1


def test_who_is_chosen_and_not_there_is_named() -> None:
    with pytest.raises(NotReady, match=r"role link needs 1 .*, present 0, chosen by devices\.link: x"):
        fill_slots(chosen(link="x"), mini_devices())


def test_who_is_chosen_for_another_role_is_named() -> None:
    with pytest.raises(
        NotReady, match=r"chosen by devices\.attention: link-0, but link-0 is for role link; start"
    ):
        fill_slots(chosen(attention="link-0"), mini_devices())


def test_gpus_that_do_not_attend_are_refused_where_they_must() -> None:
    alone = load_machine("gpu-only-dgx-a100")
    gpu = device("gpu-0", role="gpu", kind="gpu", operations=tuple(set(Op) - {Op.ATTEND_DECODE}))
    with pytest.raises(NotReady) as raised:
        fill_slots(alone, [("a:1", gpu)])
    assert str(raised.value) == (
        "gpu: gpu-0 of kind gpu does not list attend_decode, and on gpu-only-dgx-a100 the GPUs attend; "
        "use a device that does, or a machine with attention devices"
    )
    able = device("gpu-0", role="gpu", kind="gpu", operations=tuple(Op))
    assert [slot.slot for slot in fill_slots(alone, [("a:1", able)])] == ["gpu"]
