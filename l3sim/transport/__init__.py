"""Everything that touches the network: servers, channels, MQTT, messages <-> dataclasses."""

import os

# gRPC's core writes lines of its own to stderr, such as one for each stream that a stopping server cuts;
# ours are structured. It reads this when it is first used, so it stands before any import of it.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
