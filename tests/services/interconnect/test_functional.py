"""Bytes through, unchanged; order kept on every path."""

from collections import defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import OutOfStep
from l3sim.services.interconnect.functional import FunctionalLink, PathCount

PATHS = st.tuples(st.integers(0, 1), st.sampled_from(["down", "up"]), st.integers(0, 3))


@given(st.lists(st.tuples(PATHS, st.binary(max_size=40))), st.randoms(use_true_random=False))
def test_each_path_gives_what_it_got_in_order(sent: list[tuple[object, bytes]], order: Random) -> None:
    link, expected = FunctionalLink(), defaultdict[object, list[bytes]](list)
    for path, payload in sent:
        link.send(path, payload)
        expected[path].append(payload)
    got = defaultdict[object, list[bytes]](list)
    takes = [path for path, _ in sent]
    order.shuffle(takes)
    for path in takes:
        got[path].append(link.receive(path))
    assert got == expected
    for path, payloads in expected.items():
        size = sum(map(len, payloads))
        assert link.count(path) == PathCount(size, size)
    link.close()


def test_a_sender_may_use_its_buffer_again() -> None:
    link, buffer = FunctionalLink(), np.arange(6, dtype=np.float16)
    before = buffer.tobytes()
    link.send("down", buffer.data)
    buffer[:] = 0
    assert link.receive("down") == before


def test_every_bit_pattern_survives() -> None:
    link, every = FunctionalLink(), np.arange(2**16, dtype=np.uint16).tobytes()
    link.send("up", every)
    assert np.array_equal(np.frombuffer(link.receive("up"), dtype=np.uint16), np.arange(2**16))


def test_what_is_not_there_is_not_made_up() -> None:
    link = FunctionalLink()
    link.send("down", b"k")
    with pytest.raises(OutOfStep, match="nothing waits on path 'up' of the link; send it first"):
        link.receive("up")
    assert link.receive("down") == b"k"
    with pytest.raises(OutOfStep, match="nothing waits on path 'down' of the link"):
        link.receive("down")
    assert link.count("never") == PathCount()


def test_what_nobody_received_is_told_at_the_end() -> None:
    link = FunctionalLink()
    link.send(("down", 2), b"v")
    assert link.count(("down", 2)) == PathCount(sent_bytes=1)
    with pytest.raises(OutOfStep, match=r"1 payload\(s\) were never received from path \('down', 2\)"):
        link.close()
