"""Does a device keep the contract? A suite of questions for any address and any device.

    ./l3 conformance HOST:PORT
             |
         suite.py ------ subject.py      who is asked, and what the question needs to know of it
             |               |
      checks by theme    talk.py         one session, spoken with the generated stubs
       presence.py           |
       opening.py        story.py        windows of all shapes, and the bookkeeping between them
       costs.py
       books.py
       breaking.py

A check is a coroutine of a `Subject`: it returns when all is well, raises `Failed` in one line when the
device breaks a promise of `device.proto`, and `Skipped` when the device never gave that promise (no memory,
one round of foresight). What hangs on something that failed already is not run: one mistake, one failure.
"""

from l3sim.conformance.suite import CHECKS, run_suite
from l3sim.conformance.verdicts import Outcome, Verdict

__all__ = ["CHECKS", "Outcome", "Verdict", "run_suite"]
