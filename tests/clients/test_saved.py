import json
from pathlib import Path

import pytest

from l3sim.clients.saved import make_folder, pretty, save
from l3sim.errors import InvalidInput


def test_a_report_and_what_stands_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    paths = save(folder, pretty({"schema": "l3.report/1", "mean": 0.1}), {"config.yaml": b"a: 1\n"})
    assert sorted(path.name for path in paths) == ["config.yaml", "report.json"]
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "report.json"]
    assert json.loads((folder / "report.json").read_text()) == {"schema": "l3.report/1", "mean": 0.1}
    assert (folder / "config.yaml").read_bytes() == b"a: 1\n"


def test_a_former_jobs_spans_do_not_stay(tmp_path: Path) -> None:
    save(tmp_path, "{}", {"spans.jsonl": b"old", "requests.jsonl": b"old"})
    (tmp_path / "notes.txt").write_text("mine")
    save(tmp_path, "{}", {"requests.jsonl": b"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "report.json", "requests.jsonl"]


def test_a_former_file_that_cannot_go(tmp_path: Path) -> None:
    (tmp_path / "spans.jsonl").mkdir()
    with pytest.raises(InvalidInput, match=r"^--out: cannot write to .*: (Is a dir|Operation not)"):
        save(tmp_path, "{}", {"requests.jsonl": b"new"})


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput) as caught:
        make_folder(tmp_path / "file")
    assert str(caught.value) == f"--out: cannot write to {str(tmp_path / 'file')!r}: File exists"
