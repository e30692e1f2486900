"""What Docker is asked for; the engine itself is met in tests/compose/test_swap.py."""

from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from l3sim.errors import InvalidInput, NotReady
from l3sim.launch.swap import containers
from l3sim.launch.swap.containers import DockerProvisioner, docker_provisioner
from l3sim.launch.swap.provisioner import NewDevices
from l3sim.specs.catalog import load_machine
from l3sim.work import Role

HBM, L3 = load_machine("hbm-pim-dgx-a100"), load_machine("l3-dgx-a100")


class Container:
    """What the SDK tells of a container, and what became of it."""

    def __init__(self, name: str, role: str, *, project: str = "p", number: int = 1) -> None:
        self.id = self.name = name
        self.labels = {
            containers.ROLE: role,
            containers.PROJECT: project,
            containers.SERVICE: role,
            containers.NUMBER: str(number),
        }
        ports = {containers.PORT: [{"HostIp": "0.0.0.0", "HostPort": "7611"}]}
        self.attrs: dict[str, Any] = {
            "Config": {
                "Image": "l3sim:test",
                "Env": ["PATH=/bin", "L3_BUS=mosquitto:1883", "L3_ID=old"],
                "Labels": self.labels,
                "Healthcheck": {"Test": ["CMD", "true"]},
            },
            "HostConfig": {"ReadonlyRootfs": True},
            "NetworkSettings": {"Ports": ports, "Networks": {f"{project}_machine": {}}},
            "RestartCount": 0,
        }
        self.image = type("Image", (), {"attrs": {"Config": {"Env": ["PATH=/bin"]}}})
        self.status = "running"
        self.begun = self.stopped = self.gone = False
        self.said = b""
        self.refuses = ""

    def start(self) -> None:
        if self.refuses:
            raise APIError("no", explanation=self.refuses)
        self.begun = True

    def stop(self, timeout: int) -> None:
        self.stopped = timeout > 0

    def remove(self, **how: Any) -> None:
        self.gone = True

    def reload(self) -> None:
        pass

    def logs(self, tail: int) -> bytes:
        return self.said


class Engine:
    """A docker client over some containers; `made` are the configurations of new ones."""

    def __init__(self, *there: Container) -> None:
        self.there = list(there)
        self.made: dict[str, dict[str, Any]] = {}
        self.new: list[Container] = []
        self.refuses = ""
        self.containers = self.images = self.api = self

    def list(self, all: bool = False, filters: Any = None) -> list[Container]:  # noqa: A002
        wanted = filters["label"] if isinstance(filters["label"], list) else [filters["label"]]
        return [one for one in self.there if all_of(wanted, one.labels) and (all or one.status == "running")]

    def get(self, name: str) -> Any:
        if name in self.made:
            container = Container(name, self.made[name]["Labels"][containers.ROLE])
            container.refuses = self.refuses
            self.new.append(container)
            return container
        if name != "their/link":
            raise ImageNotFound("no such image")
        return None

    def create_container_from_config(self, config: dict[str, Any], name: str) -> dict[str, str]:
        self.made[name] = config
        return {"Id": name}


def all_of(wanted: list[str], labels: dict[str, str]) -> bool:
    return all(labels.get(label.partition("=")[0]) == label.partition("=")[2] for label in wanted)


@pytest.fixture
def engine() -> Engine:
    modules = [Container(f"p-attention-{number}", "attention", number=number) for number in (1, 2, 3)]
    return Engine(
        Container("p-orchestrator-1", "orchestrator"),
        Container("p-gpu-1", "gpu"),
        Container("p-interconnect-1", "link"),
        Container("q-interconnect-1", "link", project="q"),
        *modules,
    )


@pytest.fixture
def provisioner(engine: Engine) -> DockerProvisioner:
    return DockerProvisioner(engine, engine.there[0])


def environment(config: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in config["Env"])


async def test_devices_are_shared_out_to_as_many_containers_as_there_were(
    provisioner: DockerProvisioner, engine: Engine
) -> None:
    assert provisioner.address == "127.0.0.1:7611"
    await provisioner.start([NewDevices(Role.ATTENTION, HBM, "", "hbm-pim-1")])
    assert list(engine.made) == ["p-attention-4", "p-attention-5", "p-attention-6"]
    told = [environment(config) for config in engine.made.values()]
    assert [one["L3_DEVICES"] for one in told] == ["14", "14", "12"]
    assert [one["L3_ID"] for one in told] == ["hbm-pim-1-0", "hbm-pim-1-1", "hbm-pim-1-2"]
    assert all(one["L3_BUS"] == "mosquitto:1883" and "PATH" not in one for one in told)
    first = engine.made["p-attention-4"]
    assert first["Cmd"] == ["python", "-m", "l3sim.transport.serve", "hbm-pim"]
    assert (first["Image"], first["HostConfig"]) == ("l3sim:test", {"ReadonlyRootfs": True})
    assert first["NetworkingConfig"] == {"EndpointsConfig": {"p_machine": {"Aliases": ["attention"]}}}
    assert all(one.begun for one in engine.new)


async def test_the_old_ones_are_stopped_and_removed_and_nobody_elses(
    provisioner: DockerProvisioner, engine: Engine
) -> None:
    await provisioner.start([NewDevices(Role.LINK, L3, "their/link", "link-1")])
    assert engine.made["p-interconnect-2"]["Cmd"] is None
    engine.there += engine.new
    await provisioner.retire(Role.LINK)
    assert [one.name for one in engine.there if one.stopped and one.gone] == ["p-interconnect-1"]


async def test_a_role_that_had_no_container_gets_one_like_that_of_the_gpu(engine: Engine) -> None:
    engine.there = engine.there[:2]
    await DockerProvisioner(engine, engine.there[0]).start([NewDevices(Role.ATTENTION, HBM, "", "hbm-pim-1")])
    (config,) = engine.made.values()
    assert config["Labels"][containers.ROLE] == config["Labels"][containers.SERVICE] == "attention"
    assert (environment(config)["L3_ID"], environment(config)["L3_DEVICES"]) == ("hbm-pim-1", "40")


async def test_what_was_started_can_be_undone(provisioner: DockerProvisioner, engine: Engine) -> None:
    await provisioner.start([NewDevices(Role.ATTENTION, HBM, "", "hbm-pim-1")])
    await provisioner.undo()
    assert all(one.gone for one in engine.new)
    assert not any(one.gone for one in engine.there)


async def test_an_image_that_is_not_here_is_refused_by_name(
    provisioner: DockerProvisioner, engine: Engine
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await provisioner.start([NewDevices(Role.LINK, L3, "nobody/built-it", "link-1")])
    assert str(caught.value) == (
        "--with: 'nobody/built-it' is no kind of role link (interconnect), no HOST:PORT and no image that is "
        "here; build or pull it"
    )
    assert engine.made == {}


async def test_a_container_that_cannot_start_is_refused_and_undone(
    provisioner: DockerProvisioner, engine: Engine
) -> None:
    engine.refuses = "no space left"
    with pytest.raises(NotReady, match="cannot start container p-interconnect-2: no space left"):
        await provisioner.start([NewDevices(Role.LINK, L3, "", "interconnect-1")])
    await provisioner.undo()
    assert engine.new[0].gone


async def test_a_container_that_ends_is_named_with_its_last_complaint(
    provisioner: DockerProvisioner, engine: Engine
) -> None:
    await provisioner.start([NewDevices(Role.LINK, L3, "", "interconnect-1")])
    await provisioner.check()
    engine.new[0].status, engine.new[0].said = "exited", b"begin\nl3: error: no broker\nend\n"
    with pytest.raises(NotReady) as caught:
        await provisioner.check()
    assert str(caught.value) == (
        "container p-interconnect-2 ended before its devices were there; it said: l3: error: no broker"
    )


def using(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(docker, "from_env", lambda: engine)


def test_of_several_compositions_one_must_be_named(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    using(monkeypatch, engine)
    assert docker_provisioner("").address == docker_provisioner("p").address == "127.0.0.1:7611"
    engine.there.append(Container("q-orchestrator-1", "orchestrator", project="q"))
    with pytest.raises(NotReady, match="several machines run under Docker: p, q; name one: --project NAME"):
        docker_provisioner("")
    with pytest.raises(NotReady, match=r"no machine of project 'r' runs under Docker \(there are: p, q\)"):
        docker_provisioner("r")


def test_without_a_machine_both_ways_to_start_one_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    using(monkeypatch, Engine())
    text = "no machine runs here; start one: ./l3 up --detach, or docker compose up --detach"
    with pytest.raises(NotReady, match=text):
        docker_provisioner("")

    def no_engine() -> Engine:
        raise DockerException("no socket")

    monkeypatch.setattr(docker, "from_env", no_engine)
    with pytest.raises(NotReady, match=text):
        docker_provisioner("")


def test_an_orchestrator_without_a_published_port_is_refused(engine: Engine) -> None:
    engine.there[0].attrs["NetworkSettings"]["Ports"] = {}
    with pytest.raises(NotReady, match="p-orchestrator-1 publishes no port here"):
        DockerProvisioner(engine, engine.there[0])
