"""What a run of the suite came to: for people, for programs, and for CI as JUnit XML."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from l3sim.conformance.verdicts import Outcome, Verdict
from l3sim.work import DeviceDescription


def line(outcome: Outcome) -> str:
    """One row of the table."""
    text = f"  {outcome.name:<15} {outcome.verdict.value:<8} {outcome.promise}"
    return f"{text}: {outcome.text}" if outcome.text else text


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many of each, as "18 passed, 0 failed, 1 skipped"."""
    count = {verdict: sum(one.verdict is verdict for one in outcomes) for verdict in Verdict}
    return ", ".join(f"{number} {verdict.value.lower()}" for verdict, number in count.items())


def values(address: str, device: DeviceDescription, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "address": address,
        "device_id": device.device_id,
        "role": device.role,
        "kind": device.kind,
        "version": device.version,
        "conforms": conforms(outcomes),
        "checks": [
            {"name": one.name, "promise": one.promise, "verdict": one.verdict.value.lower(), "text": one.text}
            for one in outcomes
        ],
    }


def conforms(outcomes: Sequence[Outcome]) -> bool:
    """Nothing failed; what was skipped was never promised, or hangs on what failed."""
    return all(one.verdict is not Verdict.FAILED for one in outcomes)


def junit(device: DeviceDescription, outcomes: Sequence[Outcome]) -> bytes:
    """The same as a JUnit XML file with one test suite."""
    count = {verdict: str(sum(one.verdict is verdict for one in outcomes)) for verdict in Verdict}
    suite = ET.Element(
        "testsuite",
        name=f"conformance of {device.kind} {device.device_id}",
        tests=str(len(outcomes)),
        failures=count[Verdict.FAILED],
        errors="0",
        skipped=count[Verdict.SKIPPED],
        time=f"{sum(one.wall_s for one in outcomes):.3f}",
    )
    for one in outcomes:
        case = ET.SubElement(
            suite, "testcase", classname=f"conformance.{device.role}", name=one.name, time=f"{one.wall_s:.3f}"
        )
        if one.verdict is not Verdict.PASSED:
            kind = "failure" if one.verdict is Verdict.FAILED else "skipped"
            ET.SubElement(case, kind, message=one.text)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
