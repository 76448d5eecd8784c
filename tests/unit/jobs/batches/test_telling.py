"""What a program tells of itself, as far as it can be believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.errors import BatchOutputError
from jobs.batches.telling import TOLD, read_told
from jobs.lifecycle.events import Fault


def _read(folder: Path, told: Any) -> dict[str, Any]:
    (folder / TOLD).write_text(told if isinstance(told, str) else json.dumps(told))
    return read_told(folder / TOLD)


@pytest.mark.parametrize(
    "told",
    [
        {"rows": 0},
        {"value": {"type": "bigint", "value": 2**62}},
        {"value": {"type": "double", "value": 1}},
        {"value": {"type": "boolean", "value": True}},
        {"value": {"type": "date", "value": "2026-01-31"}},
        {"value": {"type": "string", "value": None}},
        {"rows": 3, "uris": {"report": "s3://lake/report"}},
    ],
)
def test_what_is_told_well_is_taken_as_it_is(tmp_path: Path, told: dict[str, Any]) -> None:
    assert _read(tmp_path, told) == told


def test_who_tells_nothing_has_told_nothing(tmp_path: Path) -> None:
    assert read_told(tmp_path / TOLD) == {}
    assert _read(tmp_path, {"rows": None, "value": None, "uris": None}) == {}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("{", "no JSON"),
        ([], "fields beside"),
        ({"row": 1}, "fields beside"),
        ({"rows": -1}, "no number of rows"),
        ({"rows": True}, "no number of rows"),
        ({"value": 3}, "a type and a value"),
        ({"value": {"type": "array", "value": []}}, "none of string"),
        ({"value": {"type": "bigint", "value": "3"}}, "no bigint"),
        ({"value": {"type": "bigint", "value": True}}, "no bigint"),
        ({"value": {"type": "double", "value": False}}, "no double"),
        ({"uris": {"report": "/etc/passwd"}}, "no address"),
        ({"uris": {str(number): "s3://a/b" for number in range(1001)}}, "at most 1000"),
        ('"' + "x" * (300 << 10) + '"', "larger than 256 KiB"),
    ],
)
def test_what_is_told_badly_fails_the_batch(tmp_path: Path, told: Any, why: str) -> None:
    with pytest.raises(BatchOutputError, match=why) as caught:
        _read(tmp_path, told)
    assert caught.value.fault is Fault.USER


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"rows": 1}')
    (tmp_path / TOLD).symlink_to(tmp_path / "secret.json")
    assert read_told(tmp_path / TOLD) == {}
