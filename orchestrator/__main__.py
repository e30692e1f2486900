"""The orchestrator process: `python -m l3sim.orchestrator --bus HOST:PORT --state DIR ...`, see `--help`."""

import asyncio
import logging
import sys
from collections.abc import Sequence

from l3sim.errors import L3Error
from l3sim.orchestrator.control.arguments import Arguments, parse_arguments
from l3sim.orchestrator.control.bus_publisher import BusPublisher
from l3sim.orchestrator.control.device_source import GrpcSource, describe_soon
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.journal import Journal
from l3sim.orchestrator.control.machine_change import MachineChange, kept
from l3sim.orchestrator.control.server import ApiServer
from l3sim.orchestrator.engine.progress import Observer
from l3sim.orchestrator.job.message import resolve_message
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.transport import lifetime
from l3sim.transport.bus import MqttBus
from l3sim.transport.clock import WallClock

_log = logging.getLogger("orchestrator")


def main(argv: Sequence[str]) -> int:
    """Run until told to stop.

    Returns:
        The exit code: 0 after an orderly end, else that of the error, said in one line on stderr.
    """
    try:
        arguments = parse_arguments(argv)
        lifetime.log_as_json(arguments.log_level)
        return asyncio.run(serve(arguments))
    except L3Error as error:
        lifetime.complain(error)
        return error.exit_code


async def serve(arguments: Arguments) -> int:
    """Serve one machine. Returns: 0, or 1 when a part of the process failed."""
    name, clock = arguments.machine.name, WallClock()
    journal = await asyncio.to_thread(Journal, arguments.state)
    try:
        async with lifetime.StopSignal(lifeline=arguments.lifeline) as stop, MqttBus(arguments.bus) as bus:
            machine = await asyncio.to_thread(kept, arguments.state, arguments.machine)
            if machine is not arguments.machine:
                _log.warning("going on with a machine that was changed", extra={"machine": machine.name})
            discovery = Discovery(bus, machine, describe_soon, clock, name)
            source = GrpcSource(discovery)

            async def runner(job: ResolvedJob, observer: Observer, cancel: asyncio.Event) -> JobResult:
                return await run_job(job, source, observer, cancel)

            def resolver(spec: bytes) -> ResolvedJob:
                return resolve_message(spec, discovery.machine)

            jobs = JobManager(journal, resolver, runner, discovery, BusPublisher(bus, name, clock))
            own = arguments.machine.files.values()
            changing = MachineChange(discovery, source, jobs.unended, arguments.state, own)
            api = ApiServer(jobs, discovery, changing, arguments.listen, arguments.health_file)
            listening = asyncio.create_task(discovery.listen(), name="discovery")
            try:
                async with api:
                    working = await jobs.start()
                    lifetime.announce_ready(api.address)
                    _log.info("ready", extra={"address": api.address, "machine": name})
                    failed = await _until_stopped(stop, working, listening)
                    # Say so before anything ends; the job that runs is taken up by the next orchestrator.
                    await api.not_serving()
                    await jobs.stop()
            finally:
                listening.cancel()
                await asyncio.wait({listening})
    finally:
        journal.close()
    _log.info("stopped")
    return int(failed)


async def _until_stopped(stop: lifetime.StopSignal, *parts: "asyncio.Task[None]") -> bool:
    """Wait for the signal. Returns: whether a part ended first, which it never should."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, *parts}, return_when=asyncio.FIRST_COMPLETED)
    ended = [part for part in parts if part.done()]
    for part in ended:
        _log.error("%s ended", part.get_name(), exc_info=part.exception())
    stopped.cancel()
    return bool(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
