"""The health probe that docker-compose.yml runs, against a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from l3sim.transport.probe import main, probe


@pytest.fixture
def server() -> Iterator[tuple[str, health.HealthServicer]]:
    served = health.HealthServicer()
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(served, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", served
        server.stop(None).wait()


def test_a_serving_server_is_healthy(server: tuple[str, health.HealthServicer]) -> None:
    assert main([server[0]]) == 0


def test_a_draining_server_is_not(server: tuple[str, health.HealthServicer]) -> None:
    address, served = server
    served.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert probe(address) == "NOT_SERVING"
    assert main([address]) == 1


def test_nobody_there_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    # Port 1 is reserved and nobody listens there.
    assert main(["127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == "probe: 127.0.0.1:1: UNAVAILABLE\n"


def test_it_wants_one_address() -> None:
    assert main([]) == 2
