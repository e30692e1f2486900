"""Real device processes for tests, always ended again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]

MAIN = """
import sys
from l3sim.testing.fakes import FakeDevice
from l3sim.transport.server import device_main
sys.exit(device_main(FakeDevice, "attention", "fake", sys.argv[1:]))
"""


@asynccontextmanager
async def device_process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process of fake devices and its address; killed at the end if it still runs."""
    process = await start(arguments)
    try:
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        assert line["event"] == "ready"
        assert line["pid"] == process.pid
        yield process, line["address"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def start(arguments: Sequence[str]) -> asyncio.subprocess.Process:
    """A process of fake devices, not waited for."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        "--id",
        "fake-0",
        *arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=ROOT,
    )
