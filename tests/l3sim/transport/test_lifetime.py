"""Addresses and log lines."""

import json
import logging
import socket
import sys

import pytest

from l3sim.errors import InvalidInput
from l3sim.transport.lifetime import JsonFormatter, host_and_port, reachable_address


def test_host_and_port() -> None:
    assert host_and_port("127.0.0.1:80", "bus") == ("127.0.0.1", 80)
    assert host_and_port("[::1]:0", "bus") == ("[::1]", 0)


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:x", "host:-1", "host:65536", "host:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^bus: must be HOST:PORT"):
        host_and_port(text, "bus")


def test_the_address_that_peers_use() -> None:
    assert reachable_address("127.0.0.1:0", 7) == "127.0.0.1:7"
    assert reachable_address("127.0.0.1:0", 7, "me") == "me:7"
    assert reachable_address("0.0.0.0:0", 7) == f"{socket.gethostname()}:7"


def test_a_log_line_is_one_json_object() -> None:
    record = logging.makeLogRecord({"msg": "took %d", "args": (3,), "levelname": "INFO", "name": "a.b"})
    record.job = "job-000001"
    try:
        raise ValueError("why\nso")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed["message"] == "took 3"
    assert (parsed["level"], parsed["logger"], parsed["job"]) == ("info", "a.b", "job-000001")
    assert "why\nso" in parsed["exception"]
    assert set(parsed) == {"time", "level", "logger", "message", "job", "exception"}
