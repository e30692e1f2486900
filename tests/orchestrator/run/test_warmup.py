"""After warming, no job compiles anything: else somebody waits for it inside a window."""

import os
import subprocess
import sys
from unittest.mock import patch

import pytest

from l3sim.orchestrator.run import warmup
from tests.root import ROOT


def test_jobs_compile_nothing_after_warming() -> None:
    command = [sys.executable, "-P", "-m", "tests.orchestrator.run.warmed_jobs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("trains", [False, True])
def test_the_learner_is_loaded_only_for_jobs_that_train(trains: bool) -> None:
    with patch.object(warmup, "train") as train:
        warmup.warm(trains)
    assert train.called == trains
