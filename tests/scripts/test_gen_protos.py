"""Committed stubs are what the proto files say."""

import importlib.util
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_protos", ROOT / "scripts" / "gen_protos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stubs_are_up_to_date(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--check"]) == 0, capsys.readouterr().err


def test_only_services_have_service_stubs(script: ModuleType) -> None:
    names = {path.name for path in script.STUBS.glob("*_grpc.py")}
    assert names == {"device_pb2_grpc.py", "job_pb2_grpc.py", "machine_pb2_grpc.py"}


def test_a_difference_is_found_named_and_mended(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protos, stubs = tmp_path / "proto", tmp_path / "stubs"
    shutil.copytree(script.PROTOS, protos)
    shutil.copytree(script.STUBS, stubs, ignore=shutil.ignore_patterns("__pycache__"))
    (stubs / "bus_pb2.py").unlink()
    (stubs / "gone_pb2.py").write_text("")
    job = protos / "l3sim" / "v1" / "job.proto"
    job.write_text(job.read_text().replace("uint64 seed = 6;", "uint64 root_seed = 6;"))
    assert script.main(["--check"], protos, stubs) == 1
    assert capsys.readouterr().err == (
        "l3sim/v1 is not what proto/ says (missing: bus_pb2.py; left over: gone_pb2.py; "
        "differ: job_pb2.py, job_pb2.pyi); run scripts/gen_protos.py\n"
    )
    assert script.main([], protos, stubs) == 0
    assert script.main(["--check"], protos, stubs) == 0
    assert "root_seed" in (stubs / "job_pb2.pyi").read_text()


def test_a_proto_that_does_not_compile_leaves_the_stubs_alone(script: ModuleType, tmp_path: Path) -> None:
    protos, stubs = tmp_path / "proto" / "l3sim" / "v1", tmp_path / "stubs"
    protos.mkdir(parents=True)
    stubs.mkdir()
    (stubs / "old_pb2.py").write_text("kept")
    (protos / "bad.proto").write_text("message")
    with pytest.raises(RuntimeError, match="protoc failed"):
        script.main([], tmp_path / "proto", stubs)
    assert (stubs / "old_pb2.py").read_text() == "kept"


def test_the_stubs_run_with_the_oldest_grpc_and_protobuf_allowed() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = [one.partition(">=") for one in requirements]
    lowest = {package: rest.partition(",")[0] for package, _, rest in bounds}
    stubs = (ROOT / "l3sim" / "v1" / "job_pb2_grpc.py").read_text()
    generated = re.search(r"GRPC_GENERATED_VERSION = '(.+)'", stubs)
    assert generated
    assert lowest["grpcio"] == generated[1], "grpcio-tools made newer stubs: raise the bounds"
    messages = (ROOT / "l3sim" / "v1" / "job_pb2.py").read_text()
    runtime = re.search(r"Domain.PUBLIC,\s+(\d+),\s+(\d+),\s+(\d+),", messages)
    assert runtime
    assert lowest["protobuf"] == ".".join(runtime.groups())
