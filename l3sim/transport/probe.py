"""Is a server healthy? `python -m l3sim.transport.probe HOST:PORT` exits 0 when it says SERVING, else 1."""

import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from l3sim.transport.channels import CLIENT_OPTIONS

#: Shorter than the time that a health check of compose is given.
PROBE_S = 5.0


def probe(address: str, timeout_s: float = PROBE_S) -> str:
    """The answer of the standard health service for the server as a whole.

    Returns:
        "SERVING", "NOT_SERVING", ..., or the gRPC code of a call that failed, such as "UNAVAILABLE".
    """
    with grpc.insecure_channel(address, options=CLIENT_OPTIONS) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main(argv: Sequence[str]) -> int:
    """Print what `probe` found on stderr; the exit status says whether it was SERVING."""
    if len(argv) != 1:
        print("probe: error: give one HOST:PORT", file=sys.stderr)
        return 2
    state = probe(argv[0])
    print(f"probe: {argv[0]}: {state}", file=sys.stderr)
    return 0 if state == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
