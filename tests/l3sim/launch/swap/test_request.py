"""What people may write after --with."""

from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.launch.swap.request import SwapRequest, swap_request_of
from l3sim.work import Role


@pytest.mark.parametrize(
    ("role", "given", "expected"),
    [
        ("attention", "hbm-pim", SwapRequest(Role.ATTENTION, kind="hbm-pim")),
        ("attention", "gpu", SwapRequest(Role.ATTENTION, kind="gpu")),
        ("gpu", "gpu", SwapRequest(Role.GPU, kind="gpu")),
        ("link", "10.0.0.7:7601", SwapRequest(Role.LINK, address="10.0.0.7:7601")),
        ("link", "[::1]:7601", SwapRequest(Role.LINK, address="[::1]:7601")),
        ("link", "mine/link:1", SwapRequest(Role.LINK, image="mine/link:1")),
        ("link", "my-link", SwapRequest(Role.LINK, image="my-link")),
        ("link", "my-link:latest", SwapRequest(Role.LINK, image="my-link:latest")),
    ],
)
def test_a_word_of_ours_is_a_kind_and_host_and_port_an_address(
    role: str, given: str, expected: SwapRequest
) -> None:
    assert swap_request_of(role, given, "") == expected


def test_a_file_is_kept_with_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from l3sim.services.interconnect.device import InterconnectDevice\n"
        "class MyLink(InterconnectDevice):\n    kind = 'my-link'\n"
    )
    monkeypatch.chdir(tmp_path)
    for given in ("./mine.py", f"{tmp_path}/mine.py"):
        expected = SwapRequest(Role.LINK, kind="my-link", file=f"{tmp_path}/mine.py")
        assert swap_request_of("link", given, "") == expected
    assert swap_request_of("link", "mine.py:MyLink", "").file == f"{tmp_path}/mine.py:MyLink"


@pytest.mark.parametrize(
    ("role", "given", "text"),
    [
        ("dimm", "hbm-pim", "ROLE: unknown role 'dimm' (there are: attention, gpu, link)"),
        ("lnk", "x", "ROLE: unknown role 'lnk'; did you mean 'link'? (there are: attention, gpu, link)"),
        (
            "attention",
            "interconnect",
            "--with: kind 'interconnect' is for role link, not attention "
            "(there are: cpu-attention, dimm-pim, gpu, hbm-pim)",
        ),
        ("link", "a b", "--with: 'a b' is no kind of role link (interconnect), no HOST:PORT and no image"),
        ("link", "", "--with: '' is no kind of role link (interconnect), no HOST:PORT and no image"),
    ],
)
def test_what_can_be_nothing_is_refused(role: str, given: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        swap_request_of(role, given, "")
    assert str(caught.value) == text
