"""Regenerates the stubs in l3sim/v1 from proto/, or with --check only compares.

    python scripts/gen_protos.py           write them
    python scripts/gen_protos.py --check   exit 1, and say what differs, unless they are what it would write

Stubs are generated into a temporary folder first, so that a failure leaves the tree as it was. Run it with
the locked grpcio-tools: another version writes other headers, which --check would call a difference.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PROTOS = ROOT / "proto"
STUBS = ROOT / "l3sim" / "v1"
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(protos: Path, folder: Path) -> dict[str, str]:
    """Compile every proto below `protos` into `folder`; text by file name.

    Raises:
        RuntimeError: the compiler refuses a file; it has said why on stderr.
    """
    sources = sorted((protos / "l3sim" / "v1").glob("*.proto"))
    well_known = files("grpc_tools") / "_proto"
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    command = ["protoc", f"-I{protos}", f"-I{well_known}", *outputs, *map(str, sources)]
    if protoc.main(command) != 0:
        raise RuntimeError("protoc failed; mend the proto files")
    for source in sources:
        if not re.search(r"^service ", source.read_text(), flags=re.MULTILINE):
            (folder / "l3sim" / "v1" / f"{source.stem}_pb2_grpc.py").unlink()
    return read(folder / "l3sim" / "v1")


def read(folder: Path) -> dict[str, str]:
    """Stubs in a folder, text by file name."""
    return {path.name: path.read_text() for pattern in PATTERNS for path in sorted(folder.glob(pattern))}


def differences(wanted: dict[str, str], present: dict[str, str]) -> str:
    """What would have to change, in one line; empty when nothing."""
    parts = [
        ("missing", sorted(wanted.keys() - present.keys())),
        ("left over", sorted(present.keys() - wanted.keys())),
        ("differ", sorted(name for name in wanted.keys() & present.keys() if wanted[name] != present[name])),
    ]
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


def main(argv: Sequence[str] | None = None, protos: Path = PROTOS, stubs: Path = STUBS) -> int:
    """Run the command line; 0, or 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description="Regenerate l3sim/v1 from proto/.")
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args(argv).check
    with tempfile.TemporaryDirectory() as folder:
        wanted = generate(protos, Path(folder))
    found = differences(wanted, read(stubs))
    if check:
        if found:
            print(f"l3sim/v1 is not what proto/ says ({found}); run scripts/gen_protos.py", file=sys.stderr)
        return 1 if found else 0
    for name in read(stubs).keys() - wanted.keys():
        (stubs / name).unlink()
    for name, text in wanted.items():
        (stubs / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
