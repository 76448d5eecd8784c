"""docs/sql.md: its statements run in their order, and its tables say what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sql.guard.limits import RULE_CODES
from sql.syntax.kinds import INSTEAD
from tests.support.service import in_process

GUIDE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
VISITS = {
    "2026-11-01": "page,seconds\nhome,3\ncart,5\n",
    "2026-11-02": "page,seconds\nhome,4\nhome,9\n",
}


def statements() -> list[str]:
    """Those of all blocks, in their order."""
    blocks = re.findall(r"^```sql\n(.*?)^```$", GUIDE, flags=re.M | re.S)
    texts = (text.strip() for block in blocks for text in re.split(r";$", block, flags=re.M))
    return [text for text in texts if text]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    for day, text in VISITS.items():
        folder = tmp_path / "data" / "visits" / f"day={day}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(text, encoding="utf-8")
    with (
        in_process(tmp_path / "home", allow_paths=(tmp_path / "data",)) as service,
        service.client() as made,
    ):
        yield made


def test_its_statements_run(client: httpx.Client, tmp_path: Path) -> None:
    assert len(statements()) > 20
    for text in statements():
        sql = text.replace("'/data/", f"'{tmp_path}/data/")
        told = client.post("/statements", json={"sql": sql, "wait": "60s"}).json()
        assert told.get("state") == "finished", (text, told)
        if text.startswith("WITH busy"):
            assert told["result"]["inline"] == [["home", "3"]]


@pytest.mark.parametrize("word", INSTEAD)
def test_what_is_not_served_is_named(word: str) -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    assert any(f"`{word}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("rule", RULE_CODES)
def test_each_guard_rule_has_its_row(rule: str) -> None:
    assert f"\n| `{rule}` | " in GUIDE
