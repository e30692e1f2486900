"""Who predicts whom: measurements that a fit never saw, and what it makes of them.

    GPU          held out                         fitted to
    a100-80gb    one model's file                 the other three models' files
    h100-80gb    one model's file                 the other model's file; the A100's parameters are the prior
    a40          one TP degree or token range     the rest of its one file; the same prior

`Fold.fit` reads the files that it is fitted to, and no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_group
from l3sim.specs.config import CalibratedGpuConfig
from scripts.fit_gpu import PRIOR, fit, prior_of
from scripts.gpu_profiles import Profile, read_profile

#: The profiles that each shipped GPU file was fitted to. Others in a folder take no part.
FILES = {
    "a100-80gb": (
        *("a100-codellama-34b-instruct-hf", "a100-internlm-20b"),
        *("a100-llama-2-70b-hf", "a100-llama-2-7b-hf"),
    ),
    "h100-80gb": ("h100-codellama-34b-instruct-hf", "h100-llama-2-7b-hf"),
    "a40": ("a40-llama-2-7b-hf",),
}
#: First and last number of tokens of the ranges that errors are told by.
RANGES = ((1, 64), (65, 128), (129, 256), (257, 512), (513, 1024), (1025, 2048), (2049, 4096))
DEGREES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Part:
    """Lines of a file: of one TP degree, or of a range of tokens; by default all."""

    tp: int | None = None
    tokens: tuple[int, int] | None = None

    def lines(self, profile: Profile) -> NDArray[np.bool_]:
        """Which lines of a profile are in it."""
        inside = np.ones(len(profile.tp), dtype=bool)
        if self.tp is not None:
            inside &= profile.tp == self.tp
        if self.tokens is not None:
            inside &= (profile.tokens >= self.tokens[0]) & (profile.tokens <= self.tokens[1])
        return inside

    def __str__(self) -> str:
        if self.tp is not None:
            return f"TP {self.tp}"
        return "{:,} to {:,} tokens".format(*self.tokens) if self.tokens else "all"


@dataclass(frozen=True)
class Fold:
    """One prediction of what was held out.

    Attributes:
        fitted: files that the fit reads, whole.
        held: file that is predicted.
        part: of `held`; when it is not all, the rest of that file is fitted to as well.
    """

    gpu: str
    fitted: tuple[Path, ...]
    held: Path
    part: Part = Part()

    def fit(self, prior: Mapping[str, float]) -> CalibratedGpuConfig:
        """The GPU as this fold's measurements have it."""
        profiles = [read_profile(path) for path in self.fitted]
        if self.part != Part():
            whole = read_profile(self.held)
            profiles.append(whole.where(~self.part.lines(whole)))
        return fit(data_sheet(self.gpu), profiles, prior)

    def unseen(self) -> Profile:
        """What was held out."""
        whole = read_profile(self.held)
        return whole.where(self.part.lines(whole))

    def __str__(self) -> str:
        return self.held.stem if self.part == Part() else f"{self.held.stem}, {self.part}"


def data_sheet(name: str) -> CalibratedGpuConfig:
    """A GPU's file; what is fitted in it is overwritten by every fit."""
    gpu = load_group(name, 1, {})
    if not isinstance(gpu, CalibratedGpuConfig):
        raise InvalidInput(("gpu", f"{name} has no level calibrated"))
    # Shipped GEMMs are fitted to other measurements, in which libraries were seen to split inner widths.
    return msgspec.structs.replace(gpu, gemm_reduce_us=None)


def files_of(gpu: str, folder: Path) -> list[Path]:
    """The profiles of one GPU, in order of name.

    Raises:
        InvalidInput: there are none.
    """
    found = [path for name in FILES[gpu] if (path := folder / f"{name}.csv").is_file()]
    if not found:
        raise InvalidInput((str(folder), f"no profile of {gpu} here, such as {FILES[gpu][0]}.csv"))
    return found


def folds_of(gpu: str, folder: Path) -> list[Fold]:
    """Every prediction of one GPU."""
    files = files_of(gpu, folder)
    if len(files) > 1:
        return [Fold(gpu, tuple(path for path in files if path != held), held) for held in files]
    parts = [Part(tp=tp) for tp in DEGREES] + [Part(tokens=tokens) for tokens in RANGES]
    return [Fold(gpu, (), files[0], part) for part in parts]


def priors(folder: Path) -> Mapping[str, Mapping[str, float]]:
    """By GPU: the A100 is fitted from nothing, the others build on what its files say."""
    a100 = whole_fit("a100-80gb", folder, PRIOR)
    return {gpu: PRIOR if gpu == "a100-80gb" else prior_of(a100) for gpu in FILES}


def whole_fit(gpu: str, folder: Path, prior: Mapping[str, float]) -> CalibratedGpuConfig:
    """The GPU fitted to all of its files, as it is shipped."""
    profiles: Sequence[Profile] = [read_profile(path) for path in files_of(gpu, folder)]
    return fit(data_sheet(gpu), profiles, prior)
