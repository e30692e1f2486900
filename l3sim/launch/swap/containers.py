"""Swaps on a machine under Docker, by the docker SDK: new containers beside the old ones, which then go.

A swap removes and creates; nothing is recreated in place. A new container is made after one that the
composition made for the same role: its rights, networks, volumes and health check; other are the image, the
command, and what tells a device who it is: $L3_ID, $L3_DEVICES.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from l3sim.errors import InvalidInput, NotReady
from l3sim.kinds import is_file
from l3sim.launch.swap.provisioner import NewDevices, Provisioner
from l3sim.launch.swap.request import kinds_of
from l3sim.orchestrator.job.slots import slot_names
from l3sim.transport.serve import SERVE
from l3sim.work import Role

#: Labels of docker-compose.yml, and of Compose itself.
ROLE = "l3sim.role"
PROJECT, SERVICE, NUMBER = (
    f"com.docker.compose.{name}" for name in ("project", "service", "container-number")
)
SERVICES = {Role.GPU: "gpu", Role.ATTENTION: "attention", Role.LINK: "interconnect"}
#: Inside its container.
PORT = "7600/tcp"
#: From SIGTERM to SIGKILL, as in docker-compose.yml.
STOP_S = 10


class DockerProvisioner(Provisioner):
    """Those of one composition.

    Args:
        engine: a docker client.
        orchestrator: the container of its orchestrator.
    """

    def __init__(self, engine: Any, orchestrator: Any) -> None:
        self._engine = engine
        self._project: str = orchestrator.labels[PROJECT]
        self._image: str = orchestrator.attrs["Config"]["Image"]
        self.address = _published(orchestrator)
        self._started: list[Any] = []

    async def start(self, new_devices: Sequence[NewDevices]) -> None:
        """See Provisioner.start. As many containers as the role had share its devices, where possible."""
        for new in new_devices:
            await asyncio.to_thread(self._start, new)

    async def check(self) -> None:
        """See Provisioner.check."""
        for container in self._started:
            await asyncio.to_thread(container.reload)
            if container.status in {"exited", "dead", "restarting"} or container.attrs["RestartCount"]:
                lines = (
                    (await asyncio.to_thread(container.logs, tail=5)).decode(errors="replace").splitlines()
                )
                words = next(
                    (line for line in lines if line.startswith("l3: error: ")), (lines or ["nothing"])[-1]
                )
                raise NotReady(
                    f"container {container.name} ended before its devices were there; it said: {words}"
                )

    async def undo(self) -> None:
        """See Provisioner.undo."""
        await _each(self._started, lambda one: one.remove(force=True, v=True))

    async def retire(self, role: Role) -> None:
        """See Provisioner.retire."""
        new = {one.id for one in self._started}

        def leave(one: Any) -> None:
            one.stop(timeout=STOP_S)
            one.remove(v=True)

        await _each([one for one in await asyncio.to_thread(self._of, role) if one.id not in new], leave)

    def _of(self, role: Role) -> list[Any]:
        labels = [f"{PROJECT}={self._project}", f"{ROLE}={role}"]
        found: list[Any] = self._engine.containers.list(all=True, filters={"label": labels})
        return found

    def _start(self, new: NewDevices) -> None:
        if new.image:
            try:
                self._engine.images.get(new.image)
            except ImageNotFound:
                text = (
                    f"{new.image!r} is no kind of role {new.role} ({', '.join(kinds_of(new.role))}), no "
                    "HOST:PORT and no image that is here; build or pull it"
                )
                raise InvalidInput(("--with", text)) from None
        old = self._of(new.role)
        model = (old or self._of(Role.GPU))[0]
        slots = len(slot_names(new.machine, new.role))
        each = -(-slots // max(len(old), 1))
        number = max((int(one.labels.get(NUMBER, 0)) for one in old), default=0)
        for index, first in enumerate(range(0, slots, each)):
            number += 1
            name = new.tag if each == slots else f"{new.tag}-{index}"
            config = self._config(new, model, name, min(each, slots - first), number)
            made = self._engine.api.create_container_from_config(
                config, name=f"{self._project}-{SERVICES[new.role]}-{number}"
            )
            container = self._engine.containers.get(made["Id"])
            self._started.append(container)
            try:
                container.start()
            except APIError as error:
                raise NotReady(f"cannot start container {container.name}: {error.explanation}") from None

    def _config(self, new: NewDevices, model: Any, name: str, devices: int, number: int) -> dict[str, Any]:
        """What Docker is asked to create."""
        was = model.attrs["Config"]
        own = dict(entry.split("=", 1) for entry in was["Env"] if entry not in _environment_of(model))
        own |= {"L3_ID": name, "L3_DEVICES": str(devices), "L3_HEALTH_FILE": "/run/l3/healthy"}
        service = SERVICES[new.role]
        labels = {**was["Labels"], ROLE: new.role.value, SERVICE: service, NUMBER: str(number)}
        kind = new.machine.kind_said(new.role)
        if is_file(kind) and not new.image:
            text = f"{kind} is a file of this computer; make an image with it, and swap to that"
            raise InvalidInput(("--with", text))
        return {
            "Image": new.image or self._image,
            "Cmd": None if new.image else ["python", *SERVE, kind],
            "Env": [f"{key}={value}" for key, value in own.items()],
            "Labels": labels,
            "Healthcheck": was.get("Healthcheck"),
            "HostConfig": model.attrs["HostConfig"],
            "NetworkingConfig": {
                "EndpointsConfig": {
                    network: {"Aliases": [service]} for network in model.attrs["NetworkSettings"]["Networks"]
                }
            },
        }


def docker_provisioner(project: str) -> DockerProvisioner:
    """Those of the composition that runs; of `project` when several do.

    Raises:
        NotReady: Docker does not answer, no composition runs here, or several do.
    """
    nothing = "no machine runs here; start one: ./l3 up --detach, or docker compose up --detach"
    try:
        engine = docker.from_env()
        found = engine.containers.list(filters={"label": f"{ROLE}=orchestrator"})
    except DockerException:
        raise NotReady(nothing) from None
    mine = [one for one in found if not project or one.labels.get(PROJECT) == project]
    if len(mine) == 1:
        return DockerProvisioner(engine, mine[0])
    names = ", ".join(sorted(one.labels.get(PROJECT, "?") for one in found))
    if len(mine) > 1:
        raise NotReady(f"several machines run under Docker: {names}; name one: --project NAME")
    if project and found:
        raise NotReady(f"no machine of project {project!r} runs under Docker (there are: {names})")
    raise NotReady(nothing)


def _published(orchestrator: Any) -> str:
    """Where a container's port appears on this computer."""
    bound = (orchestrator.attrs["NetworkSettings"]["Ports"].get(PORT) or [{}])[0]
    if "HostPort" not in bound:
        raise NotReady(f"{orchestrator.name} publishes no port here; bring it up with docker-compose.yml")
    host = bound["HostIp"]
    return f"{'127.0.0.1' if host in {'', '0.0.0.0', '::'} else host}:{bound['HostPort']}"


def _environment_of(container: Any) -> list[str]:
    """What a container's image sets, as opposed to what was set when the container was made."""
    found: list[str] = container.image.attrs["Config"].get("Env") or []
    return found


async def _each(containers: Sequence[Any], act: Callable[[Any], None]) -> None:
    """Act on containers at once; every one of them, whatever becomes of the others."""
    acts = [asyncio.to_thread(act, one) for one in containers]
    failed = [one for one in await asyncio.gather(*acts, return_exceptions=True) if one is not None]
    if failed:
        raise NotReady(f"Docker did not remove {len(failed)} of {len(acts)} containers: {failed[0]}")
