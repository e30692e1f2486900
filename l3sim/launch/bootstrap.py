"""Makes `.venv` and installs a lock file into it; run by `./l3` with whatever Python it found.

Only the standard library, and nothing of ours: there is nothing installed yet.
"""

import fcntl
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
#: Exists in `.venv` while something is being installed; left behind by an installation that was interrupted.
UNFINISHED = "unfinished"


class SetUpFailed(Exception):
    """Raised when the environment cannot be made; one line, remedy included."""


def set_up(lock: str, root: Path = ROOT) -> None:
    """Make `.venv` hold exactly what `lock` says, once, however many ask at the same time.

    Raises:
        SetUpFailed: no venv module, or the installation failed.
    """
    with (root / ".venv.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # the kernel lets go of it when its holder dies
        if _installed(lock, root):
            return
        venv = root / ".venv"
        print(f"l3: installing {lock} into {venv} (once) ...", file=sys.stderr)
        if not _usable(venv):
            _make(venv)
        (venv / UNFINISHED).touch()
        _install(lock, root)
        # The development lock holds everything of the other one, at the same versions.
        for held in LOCKS[: LOCKS.index(lock) + 1]:
            shutil.copyfile(root / held, venv / held)
        (venv / UNFINISHED).unlink()


def _installed(lock: str, root: Path) -> bool:
    stamp = root / ".venv" / lock
    return stamp.is_file() and stamp.read_bytes() == (root / lock).read_bytes()


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


def _install(lock: str, root: Path) -> None:
    command: list[str | Path] = [
        root / ".venv" / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
    ]
    command += ["--quiet", "--no-input", "--require-hashes", "--only-binary", ":all:", "-r", root / lock]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise SetUpFailed(
            f"cannot install {lock}: {_last_line(done.stdout + done.stderr)}; mend that and start again"
        )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def main() -> int:
    """Install the lock file named on the command line."""
    try:
        set_up(sys.argv[1])
    except SetUpFailed as error:
        print(f"l3: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"l3: error: cannot set up .venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
