"""What docs/dimm-pim.md takes from the code: the timing table, a traced case and its picture.

python -m benchmarks.dimm_reference            writes them
python -m benchmarks.dimm_reference --check    says whether they are up to date (exit code 1: no)
"""

import re
import sys
from pathlib import Path

from benchmarks.svg import COLOURS, FAINT, Picture
from l3sim.placement import layout_of
from l3sim.services.dram.command.constraints import ACTIVATIONS_A_WINDOW, CONSTRAINTS
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.command.trace import HEAD, Line, folded, lines_of, text_of
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.rank import RankConfig

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "dimm-pim.md"
GENERATED = DOCS / "generated"
PICTURE = GENERATED / "dimm-pim-trace.svg"
MADE = "made by python -m benchmarks.dimm_reference"
#: Head groups of the traced case, by tokens.
CASE = (100, 20)
_LANES = ("inner bus", "outer bus", "unit")
_WRITES = frozenset({"WR", "PIM_WR_SB"})


def main(arguments: list[str]) -> int:
    """Write, or check, the generated parts."""
    texts = {PAGE: page(PAGE.read_text()), PICTURE: picture()}
    stale = [path.name for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        if stale:
            print(f"not up to date: {', '.join(stale)}; run python -m benchmarks.dimm_reference")
        return 1 if stale else 0
    for path, text in texts.items():
        path.write_text(text)
    return 0


def page(text: str) -> str:
    """The page with its generated blocks made anew."""
    of, lines = traced()
    trace = "\n".join(["```text", HEAD, *(text_of(line, of.pim.tck_ps) for line in folded(lines)), "```"])
    for name, block in (("constraints", constraints(of.pim)), ("trace", trace)):
        begin, end = f"<!-- {name}: {MADE} -->", f"<!-- end {name} -->"
        parts = re.split(f"{re.escape(begin)}\n.*?{re.escape(end)}", text, flags=re.S)
        if len(parts) != 2:
            raise ValueError(f"{PAGE.name} must have one block {name!r}, has {len(parts) - 1}")
        text = f"{begin}\n{block}\n{end}".join(parts)
    return text


def constraints(pim: RankConfig) -> str:
    """The timing table in Markdown, with the cycles of a module."""
    lines = ["| level | from any of | to any of | at least | tCK | rule |", "|---|---|---|---|---:|---|"]
    for row in CONSTRAINTS:
        before, after = (", ".join(command.name for command in of) for of in (row.before, row.after))
        after = "every command" if len(row.after) > 10 else after
        lines.append(f"| {row.level} | {before} | {after} | {row.cycles} | {row.tck(pim)} | {row.source} |")
    window = f"{ACTIVATIONS_A_WINDOW} ACT and the next ACT"
    lines.append(f"| rank | the first of {window} | | FAW | {pim.faw_tck} | JESD79-4 |")
    return "\n".join(lines)


def traced() -> tuple[Kernel, list[Line]]:
    """The case: two head groups of llama-2-7b on a rank of l3-mini."""
    pim, model = load_machine("l3-mini").attention, load_model("llama-2-7b")
    kernel = kernel_of(pim, model, layout_of(pim, model, 1, 1))
    outcome = attend(kernel, CASE, traced=100_000)
    return kernel, lines_of(kernel, outcome.program, outcome.rows, outcome.trace)


def picture() -> str:
    """The traced case as lanes over time."""
    of, lines = traced()
    left, top, width, lane, bank = 80, 44, 980, 26, 7
    end = max(line.cycle + line.busy_tck for line in lines) + of.pim.cl_tck
    height = top + 3 * lane + 16 * bank + 100
    drawn = Picture(left + width + 20, height, "Two head groups on one rank: 100 and 20 tokens, N_hc = 8")

    def x_of(cycle: float) -> float:
        return left + width * cycle / end

    for row, name in enumerate(_LANES):
        drawn.text(left - 8, top + row * lane + 15, name, anchor="end")
    drawn.text(left - 8, top + 3 * lane + 8 * bank + 4, "banks 0-15", anchor="end")
    for x, y, size, height_, colour in _bars(of, lines):
        drawn.rect(x_of(x), top + y, width * size / end, height_, colour)
    foot = top + 3 * lane + 16 * bank + 12
    for cycle in range(0, end, 200):
        drawn.line([(x_of(cycle), top), (x_of(cycle), foot)], FAINT, 0.5)
        drawn.text(x_of(cycle), foot + 14, f"{cycle}", anchor="middle", size=10)
    drawn.text(left + width / 2, foot + 32, "cycles of 0.625 ns", anchor="middle")
    names = (
        "K: its rows open, PIM_MAC",
        "V: the same",
        "bursts to the rank's unit",
        "bursts from it",
        "unit",
    )
    for number, name in enumerate(names):
        drawn.rect(left + number * 190, foot + 44, 11, 11, COLOURS[number])
        drawn.text(left + number * 190 + 16, foot + 54, name)
    return str(drawn)


def _bars(of: Kernel, lines: list[Line]) -> list[tuple[float, float, float, float, str]]:
    """(cycle, y, cycles, height, colour) of everything that is busy."""
    pim = of.pim
    bars: list[tuple[float, float, float, float, str]] = []
    opened: dict[int, tuple[int, str]] = {}
    for line in lines:
        colour = COLOURS[0] if " K " in line.row else COLOURS[1]
        if line.command == "PIM_MAC":
            bars.append((line.cycle, 2.0, pim.ccd_l_tck - 1.0, 20.0, colour))
        elif line.command in {"WR", "PIM_WR_SB", "PIM_RD_RB"}:
            way = COLOURS[3] if line.command in _WRITES else COLOURS[2]
            bars.append((line.cycle, 28.0, pim.burst_tck - 0.5, 20.0, way))
        elif line.command == "UNIT" and line.busy_tck:
            bars.append((line.cycle, 54.0, float(line.busy_tck), 20.0, COLOURS[4]))
        elif line.command == "ACT":
            opened[int(line.bank.partition(".b")[2])] = (line.cycle, colour)
        elif line.command == "PREA":
            for at, (since, of_row) in opened.items():
                bars.append((since, 82.0 + at * 7, float(line.cycle - since), 5.0, of_row))
            opened.clear()
    return bars


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
