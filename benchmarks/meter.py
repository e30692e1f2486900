"""Runs a command and measures the process tree that it grows: memory as PSS, CPU time by part."""

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import asdict

from l3sim.reports import Report

ROOT = Path(__file__).parents[1]
SAMPLE_S = 2.0
#: Part of the machine by the module that a process runs.
PARTS = {
    "l3sim.services.dimm_pim": "dimm_pim",
    "l3sim.services.gpu": "gpu",
    "l3sim.services.interconnect": "interconnect",
    "l3sim.launch.broker": "broker",
    "l3sim.orchestrator": "orchestrator",
    "l3sim": "launcher",
    "l3sim.launch": "launcher",
}


def part_of(command: Sequence[str]) -> str:
    """Which part of the machine a process is, by its command line."""
    for word in command:
        # A device process is told the class that it serves: l3sim.services.gpu.device:GpuDevice.
        if (part := PARTS.get(word.partition(".device:")[0])) is not None:
            return part
    return "other"


class Meter:
    """Samples a process and its children until it ends.

    Attributes:
        peak_pss_bytes: the most memory of all processes together, shared pages counted once.
        processes: the most processes at once.
        cpu_s: CPU time by part, as last seen of each process.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu: dict[int, tuple[str, float]] = {}
        self.peak_pss_bytes = 0
        self.processes = 0

    def sample(self) -> None:
        """Look once."""
        pss = seen = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    pss += process.memory_full_info().pss
                    part = part_of(process.cmdline())
            except psutil.Error:
                continue  # it ended while we looked
            self._cpu[process.pid] = (part, times.user + times.system)
            seen += 1
        self.peak_pss_bytes = max(self.peak_pss_bytes, pss)
        self.processes = max(self.processes, seen)

    @property
    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by part."""
        total: dict[str, float] = defaultdict(float)
        for part, spent in self._cpu.values():
            total[part] += spent
        return dict(total)


def run(words: Sequence[str]) -> dict[str, Any]:
    """Run `./l3 run ... --json` and return its report with what it took.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    command = [sys.executable, "-P", "-m", "l3sim", "run", *words, "--json"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
    meter = Meter(process.pid)
    ended = threading.Event()
    sampler = threading.Thread(target=_watch, args=(meter, ended))
    sampler.start()
    output, _ = process.communicate()
    ended.set()
    sampler.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {
        "report": Report.from_json(output),
        "total_wall_s": time.monotonic() - began,
        "peak_pss_bytes": meter.peak_pss_bytes,
        "processes": meter.processes,
        "cpu_s": meter.cpu_s,
    }


def environment() -> dict[str, str]:
    """The environment, with our packages importable."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _watch(meter: Meter, ended: threading.Event) -> None:
    while not ended.wait(SAMPLE_S):
        try:
            meter.sample()
        except psutil.NoSuchProcess:
            return


def summary(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """The figures of docs/benchmarks.md for one run."""
    report: Report = measured["report"]
    exchange = report.exchange
    windows = exchange.windows
    return {
        "name": name,
        "transport": exchange.transport,
        "policy": report.policy,
        "requests": report.requests.completed,
        "output_tokens": report.tokens.output,
        "iterations": report.iterations,
        "windows": windows,
        "messages_per_window": exchange.messages / windows,
        "wall_s": exchange.wall_s,
        "iterations_per_wall_s": exchange.simulated_iterations_per_wall_s,
        "ms_per_window": 1000 * exchange.wall_s / windows,
        "ms_per_window_by_part": {
            part: 1000 * spent / windows for part, spent in asdict(exchange.parts_wall_s).items()
        },
        "cpu_s": measured["cpu_s"],
        "processes": measured["processes"],
        "peak_pss_mib": measured["peak_pss_bytes"] / 2**20,
        "total_wall_s": measured["total_wall_s"],
        "throughput_tokens_per_s": report.throughput_tokens_per_s,
        "invariants": report.invariants,
    }
