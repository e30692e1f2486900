"""The vocabulary that every part of the virtual L3 machine shares; it imports nothing of ours."""

VERSION = "0.1.0"

#: Version of the contract in `proto/l3sim/v1`. Compared for equality at Hello.
PROTOCOL_VERSION = 3
