"""A clean copy of the repository: what is, or with the next `git add` would be, in it."""

import shutil
import subprocess
from pathlib import Path

from tests.root import ROOT


def copy_tree(target: Path) -> Path:
    """Copy the repository's files, links as links, without what lies about in this checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_symlink() or source.is_file():  # a file that was deleted is still listed
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return target
