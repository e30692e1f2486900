"""The command line of the orchestrator process."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine
from l3sim.specs.machine import Machine
from l3sim.transport.lifetime import LOG_LEVELS, OneLineParser, host_and_port


@dataclass(frozen=True)
class Arguments:
    """What the process was told.

    Attributes:
        bus: HOST:PORT of the broker.
        state: folder of the journal.
        health_file: exists while SERVING.
        lifeline: stop when stdin ends.
    """

    machine: Machine
    bus: str
    listen: str
    state: Path
    health_file: Path | None
    lifeline: bool
    log_level: str


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the command line; what it leaves out comes from the environment.

    Raises:
        InvalidInput: a flag or the machine file is refused.
    """
    env = os.environ
    parser = OneLineParser(prog="orchestrator", description="Runs the jobs of one virtual L3 machine.")
    add = parser.add_argument
    add("--machine", default=env.get("L3_MACHINE") or "l3-dgx-a100", help="name or file ($L3_MACHINE)")
    add("--modules", type=int, default=env.get("L3_MODULES") or None, help="instead of the file's number")
    add("--gpu", default=env.get("L3_GPU", ""), help="name or file, instead of the machine's ($L3_GPU)")
    add("--bus", default=env.get("L3_BUS", ""), help="HOST:PORT of the MQTT broker ($L3_BUS)")
    add("--listen", default=env.get("L3_LISTEN") or "127.0.0.1:0", help="HOST:PORT ($L3_LISTEN); 0: any free")
    add("--state", default=env.get("L3_STATE", ""), help="folder of the journal of jobs ($L3_STATE)")
    add("--health-file", type=Path, help="exists while serving")
    add("--lifeline", action="store_true", help="stop when stdin ends")
    add("--log-level", choices=LOG_LEVELS, default="info")
    given = parser.parse_args(argv)
    if not given.bus:
        raise InvalidInput(("bus", "give --bus HOST:PORT (or $L3_BUS), where devices announce themselves"))
    if not given.state:
        raise InvalidInput(("state", "give --state FOLDER (or $L3_STATE), where jobs are kept"))
    host_and_port(given.bus, "bus")
    host_and_port(given.listen, "listen")
    machine = load_machine(given.machine, given.modules, given.gpu)
    if not re.fullmatch(r"[\w.-]+", machine.name):
        raise InvalidInput(
            ("name", f"{given.machine}: must be a plain name without / + #, got {machine.name!r}")
        )
    return Arguments(
        machine=machine,
        bus=given.bus,
        listen=given.listen,
        state=Path(given.state),
        health_file=given.health_file,
        lifeline=given.lifeline,
        log_level=given.log_level,
    )
