"""What can be said of the Docker files without an engine."""

import importlib.util
import re
import tomllib

from ruamel.yaml import YAML

from l3sim.work import Role
from tests.compose.composition import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES = YAML(typ="safe").load(COMPOSE)["services"]


def test_every_setting_is_documented_with_its_default() -> None:
    used = set(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert used == set(re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE))
    assert len(used) == len({name for name, _ in used}), "one setting, two defaults"


def test_every_setting_has_a_default() -> None:
    assert re.findall(r"\$\{\w+\}|\$\{\w+:?\?", COMPOSE) == []


def test_what_scales_claims_no_name_and_no_port() -> None:
    assert "container_name" not in COMPOSE
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["orchestrator"]


def test_every_service_that_runs_has_a_health_check() -> None:
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == ["client"]


def test_the_image_gets_every_package_of_ours_and_nothing_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    wanted = {line[1:] for line in lines if line.startswith("!")}
    links = [path for path in (ROOT / "l3sim").rglob("*") if path.is_symlink()]
    linked = {path.resolve().relative_to(ROOT).parts[0] for path in links}
    assert {"services", "machines"} < linked
    assert wanted == {*linked, "l3sim", "pyproject.toml", "README.md", "LICENSE", "requirements.lock"}
    assert all((ROOT / name).exists() for name in wanted)


def test_commands_name_modules_that_exist() -> None:
    modules = re.findall(r"python, -m, ([a-z][\w.]+)", COMPOSE.replace('"', ""))
    assert {"l3sim.launch.device", "l3sim.orchestrator", "l3sim.transport.probe"} == set(modules)
    assert [name for name in modules if not _runs(name)] == []
    assert 'CMD ["l3"' in DOCKERFILE
    assert "entrypoint: [l3]" in COMPOSE
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert "l3" in scripts


def test_a_device_is_of_the_kind_that_the_machine_says() -> None:
    labels = {name: service.get("labels", {}).get("l3sim.role") for name, service in SERVICES.items()}
    assert {labels[name] for name in labels} >= set(Role)
    for role in Role:
        (name,) = (name for name, label in labels.items() if label == role)
        assert SERVICES[name]["command"][:4] == ["python", "-m", "l3sim.launch.device", role]


def test_the_classic_builder_can_build_it() -> None:
    assert "# syntax" not in DOCKERFILE
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE


def _runs(module: str) -> bool:
    """Whether `python -m` takes it."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{module}.__main__")
    return spec is not None
