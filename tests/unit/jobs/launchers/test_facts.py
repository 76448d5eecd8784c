from __future__ import annotations

import os
from pathlib import Path

from jobs.launchers import facts


def test_facts_are_read_as_written(tmp_path: Path) -> None:
    facts.write(str(tmp_path), "a.json", {"code": 1})
    facts.write(str(tmp_path), "a.json", {"code": 2}, lasting=False)
    assert facts.read(str(tmp_path), "a.json") == {"code": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_facts_that_are_not_there_are_none(tmp_path: Path) -> None:
    assert facts.read(str(tmp_path), "a.json") is None
    assert facts.read(str(tmp_path / "nowhere"), "a.json") is None
    (tmp_path / "file").write_text("")
    assert facts.read(str(tmp_path / "file"), "a.json") is None


def test_half_written_facts_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"code":')
    assert facts.read(str(tmp_path), "a.json") is None


def test_first_claim_wins(tmp_path: Path) -> None:
    assert facts.claim(str(tmp_path), "a.json", {"by": 1})
    assert not facts.claim(str(tmp_path), "a.json", {"by": 2})
    assert facts.read(str(tmp_path), "a.json") == {"by": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_file_tells_a_moment(tmp_path: Path) -> None:
    assert facts.touched(str(tmp_path), "lease") is None
    facts.touch(str(tmp_path), "lease", 17.25)
    facts.touch(str(tmp_path), "lease", 18.5)
    assert facts.touched(str(tmp_path), "lease") == 18.5


def test_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    held = facts.lock(str(tmp_path), wait=True)
    assert held is not None
    assert facts.lock(str(tmp_path), wait=False) is None
    os.close(held)
    again = facts.lock(str(tmp_path), wait=False)
    assert again is not None
    os.close(again)
