"""Makes `.venv`, installs a lock file and this checkout into it; run by `./l3` with whatever Python it found.

Only the standard library, and nothing of ours: there is nothing installed yet.

    .venv/requirements.lock, pyproject.toml     copies of what was installed
    .venv/checkout                              the folder that the package is imported from
    .venv/unfinished                            there while packages are being installed
"""

import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
#: The development lock holds everything of the first, at the same versions.
LOCKS = ("requirements.lock", "requirements-dev.lock")
VENV = ".venv"
#: Exists in `.venv` while something is being installed; left behind by an installation that was interrupted.
UNFINISHED = "unfinished"
PROJECT = "pyproject.toml"
CHECKOUT = "checkout"
_POLL_S = 0.2


class SetUpFailed(Exception):
    """Raised when the environment cannot be made; one line, remedy included."""


class Progress:
    """One line that changes on a terminal; elsewhere a line for each thing that begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._began = self._shown = ""

    def show(self, what: str, detail: str = "") -> None:
        """Say what is being done; `detail` is what changes meanwhile."""
        if self._terminal:
            text = f"l3: {what} {detail}".rstrip()[: shutil.get_terminal_size().columns - 1]
            if text != self._shown:
                self._stream.write(f"\r{text}\x1b[K")
            self._shown = text
        elif what != self._began:
            self._stream.write(f"l3: {what}\n")
        self._began = what
        self._stream.flush()

    def end(self) -> None:
        """Leave the line to the next writer."""
        if self._terminal and self._began:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        self._began = self._shown = ""


class Packages:
    """How far pip is, by what it prints and by what lies in the environment.

    pip names each package when it collects it, and all of them, in order, before it installs them; then it is
    silent until the last is there, so they are counted where they arrive.
    """

    def __init__(self, lock: Path, venv: Path) -> None:
        self._lock = lock.name
        self._pinned = len(re.findall(r"^[A-Za-z0-9._-]+==", lock.read_text(), re.M))
        self._venv = venv
        self._before = self._arrived()

    def state(self, printed: str) -> tuple[str, str]:
        """What pip does and how far it is, after it has printed that."""
        count = self._pinned - len(re.findall(r"^Ignoring ", printed, re.M))
        of = f"packages of {self._lock}"
        if order := re.search(r"^Installing collected packages: (.+)$", printed, re.M):
            names = order[1].split(", ")
            done = min(len(self._arrived() - self._before), len(names) - 1)
            return f"installing {of}", f"({done + 1}/{len(names)}) {names[done]}"
        seen = re.findall(r"^(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", printed, re.M)
        return f"fetching {of}", f"({len(seen)}/{count}) {seen[-1]}" if seen else ""

    def _arrived(self) -> set[str]:
        return {path.name for path in self._venv.glob("lib/python*/site-packages/*.dist-info")}


def set_up(lock: str, name: str = VENV, root: Path = ROOT) -> None:
    """Make an environment hold what `lock` says and this checkout, once, however many ask at the same time.

    Args:
        lock: name of a lock file in `root`.
        name: of the environment's folder in `root`.

    Raises:
        SetUpFailed: no venv module, or the installation failed.
    """
    progress, venv = Progress(sys.stderr), root / name
    with (root / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # the kernel lets go of it when its holder dies
        try:
            if not _same(root / lock, venv):
                _install_lock(root / lock, venv, progress)
            if not (_same(root / PROJECT, venv) and _checkout(venv) == str(root)):
                _install_checkout(root, venv, progress)
        finally:
            progress.end()


def _same(file: Path, venv: Path) -> bool:
    stamp = venv / file.name
    return stamp.is_file() and stamp.read_bytes() == file.read_bytes()


def _checkout(venv: Path) -> str:
    stamp = venv / CHECKOUT
    return stamp.read_text().removesuffix("\n") if stamp.is_file() else ""


def _install_lock(lock: Path, venv: Path, progress: Progress) -> None:
    if not _usable(venv):
        progress.show(f"making {venv} (once)")
        _make(venv)
    (venv / UNFINISHED).touch()
    packages = Packages(lock, venv)
    options: list[str | Path] = ["--require-hashes", "--only-binary", ":all:", "-r", lock]
    _pip(options, venv, lock.name, lambda printed: progress.show(*packages.state(printed)))
    held = LOCKS[: LOCKS.index(lock.name) + 1] if lock.name in LOCKS else (lock.name,)
    for name in held:
        shutil.copyfile(lock.with_name(name), venv / name)
    (venv / UNFINISHED).unlink()


def _install_checkout(root: Path, venv: Path, progress: Progress) -> None:
    """Have an environment import the package from this folder; of the files themselves none is copied."""
    progress.show(f"installing {root}")
    options: list[str | Path] = ["--no-index", "--no-deps", "--no-build-isolation", "--editable", root]
    _pip(options, venv, str(root))
    shutil.copyfile(root / PROJECT, venv / PROJECT)
    (venv / CHECKOUT).write_text(f"{root}\n")


def _usable(venv: Path) -> bool:
    """Whether an environment from an earlier version can be built upon."""
    python = venv / "bin" / "python"
    if (venv / UNFINISHED).exists() or not python.exists():
        return False
    asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return asked.returncode == 0


def _make(venv: Path) -> None:
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetUpFailed(
            f"{sys.executable} has no {' and no '.join(missing)} module; install it (Debian: apt install "
            f"python{sys.version_info.major}.{sys.version_info.minor}-venv), or name another Python: "
            "PYTHON=/path/to/python3 ./l3"
        )
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", venv], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise SetUpFailed(f"cannot make {venv}: {_last_line(made.stdout + made.stderr)}")


def _pip(
    options: Sequence[str | Path], venv: Path, what: str, watch: Callable[[str], None] = lambda _: None
) -> None:
    """Run `pip install` and hand what it has printed so far to `watch`, again and again."""
    log = venv / "install.log"
    python = venv / "bin" / "python"
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    with log.open("w") as printed:
        pip = subprocess.Popen(
            [python, "-m", "pip", "install", *quiet, *options],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        watch("")
        while pip.poll() is None:
            watch(log.read_text(errors="replace"))
            try:
                pip.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if pip.poll() is None:
            pip.terminate()
            pip.wait()
    watch(log.read_text(errors="replace"))
    if pip.returncode != 0:
        text = log.read_text(errors="replace")
        sys.stderr.write(f"\n{text}" if sys.stderr.isatty() else text)
        raise SetUpFailed(f"cannot install {what}: {_last_line(text)}; mend that and start again")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def main() -> int:
    """Install the lock file named on the command line, into `.venv` or the folder named after it."""
    try:
        set_up(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else VENV)
    except SetUpFailed as error:
        print(f"l3: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"l3: error: cannot set up the environment: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
