"""SQL cases as text files: ``-- name``, a statement, ``=>``, what is expected, a blank line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlCase:
    """One pair of a file in ``tests/data/sql``."""

    name: str
    sql: str
    expected: str


def sql_cases(file: str) -> list[SqlCase]:
    """The cases of ``file`` in order."""
    blocks = (FOLDER / file).read_text().strip().split("\n\n")
    return [_case(block) for block in blocks]


def _case(block: str) -> SqlCase:
    title, _, rest = block.partition("\n")
    sql, arrow, expected = rest.partition("\n=>\n")
    if not title.startswith("-- ") or not arrow:
        raise ValueError(f"no case: {block}")
    return SqlCase(name=title[3:], sql=sql, expected=expected.strip())
