"""What a job came to, as typed values: `report.json` of docs/report.md, for code that writes or reads one.

sections  its parts: counts, latencies, memory, provenance; prediction  what was foreseen
report    the whole, from and to JSON
"""

from l3sim.reports.report import SCHEMA, Report

__all__ = ["SCHEMA", "Report"]
