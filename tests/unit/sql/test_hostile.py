"""Text that is meant to stall or kill: each ends in an answer or an error, in bounded time.

Seconds are CPU seconds of this process, far above what a quiet machine needs, far below what the
same text took without the bounds (the cost study's § 8). Whoever calls ``prepare`` for others does
so in a child process with a limit; these must not even need it.
"""

from __future__ import annotations

import time

import pytest

from storage.base.errors import ServiceError
from tests.support.statements import prepared

SECONDS = 15.0


def nested(head: str, core: str, tail: str, times: int) -> str:
    return head * times + core + tail * times


HOSTILE = {
    "long string": "SELECT '" + "x" * 900_000 + "'",
    "too long string": "SELECT '" + "x" * 10_000_000 + "'",
    "blanks": "SELECT 1" + " " * 900_000,
    "line comments": "--x\n" * 200_000 + "SELECT 1",
    "block comment": "SELECT 1 /*" + "x" * 900_000 + "*/",
    "open block comments": "/*" * 400_000,
    "semicolons": ";" * 500_000,
    "many statements": "SELECT 1;" * 9_000,
    "odd quotes": "SELECT '" * 100_000,
    "doubled quotes": "SELECT " + "''" * 400_000,
    "backslashes": "SELECT '" + "\\" * 400_001 + "'",
    "backticks": "SELECT " + "`" * 900_001,
    "long IN": "SELECT 1 FROM orders WHERE id IN (" + ",".join(map(str, range(29_000))) + ")",
    "longer IN": "SELECT 1 FROM orders WHERE id IN (" + ",".join(["1"] * 100_000) + ")",
    "many columns": "SELECT " + ",".join(["id"] * 20_000) + " FROM orders",
    "many literals": "SELECT " + ",".join(["1"] * 29_000),
    "many rows": "SELECT * FROM VALUES " + ",".join(["(1,2)"] * 12_000),
    "many stars": "SELECT " + ",".join(["*"] * 5_000) + " FROM orders",
    "ANDs": "SELECT 1 FROM orders WHERE " + " AND ".join(["id = 1"] * 5_000),
    "ORs": "SELECT 1 FROM orders WHERE " + " OR ".join(["id = 1"] * 5_000),
    "sum": "SELECT " + "+".join(["1"] * 25_000),
    "concatenation": "SELECT " + "||".join(["'a'"] * 5_000),
    "unions": " UNION ALL ".join(["SELECT id FROM orders"] * 2_000),
    "joins": "SELECT 1 FROM orders o0 "
    + " ".join(f"JOIN orders o{n} ON o{n}.id = o{n - 1}.id" for n in range(1, 300)),
    "natural joins": "SELECT 1 FROM orders o0 "
    + " ".join(f"NATURAL JOIN orders o{n}" for n in range(1, 60)),
    "brackets": "SELECT " + nested("(", "1", ")", 10_000),
    "calls": "SELECT " + nested("abs(", "1", ")", 10_000),
    "cases": "SELECT " + nested("CASE WHEN true THEN ", "1", " END", 10_000),
    "subqueries": "SELECT * FROM " + nested("(SELECT * FROM ", "orders", ")", 10_000),
    "deepest subqueries": "SELECT id FROM " + nested("(SELECT id FROM ", "orders", ")", 57),
    "deepest scalars": "SELECT " + nested("(SELECT ", "1", ")", 57),
    "structs": "SELECT CAST(1 AS " + nested("STRUCT<a:", "INT", ">", 20_000) + ")",
    "arrays": "SELECT CAST(1 AS " + nested("ARRAY<", "INT", ">", 400) + ")",
    "NOTs": "SELECT " + "NOT " * 10_000 + "true",
    "minuses": "SELECT " + "- " * 10_000 + "1",
    "intervals": "SELECT " + "INTERVAL " * 5_000 + "1 DAY",
    "dots": "SELECT " + ".".join(["a"] * 20_000),
    "indexes": "SELECT tags" + "[0]" * 20_000 + " FROM orders",
    "casts": "SELECT id" + "::INT" * 20_000 + " FROM orders",
    "betweens": "SELECT 1 FROM orders WHERE " + "id BETWEEN 1 AND " * 3_000 + "2",
    "is null": "SELECT 1" + " IS NULL" * 20_000,
    "arrows": "SELECT a" + " -> a" * 5_000,
    "alias doubling": "SELECT id AS x0, "
    + ", ".join(f"x{n} + x{n} AS x{n + 1}" for n in range(30))
    + " FROM orders",
    "alias chain": "SELECT id AS x0, "
    + ", ".join(f"x{n} + 1 AS x{n + 1}" for n in range(300))
    + " FROM orders",
    "CTE doubling": "WITH c0 AS (SELECT 1 AS a), "
    + ", ".join(f"c{n + 1} AS (SELECT x.a FROM c{n} x, c{n} y)" for n in range(40))
    + " SELECT * FROM c40",
    "windows": "SELECT "
    + ", ".join(f"sum(id) OVER (ORDER BY day) AS a{n}" for n in range(1_000))
    + " FROM orders",
    "lateral views": "SELECT * FROM orders"
    + "".join(f" LATERAL VIEW explode(tags) t{n} AS x{n}" for n in range(200)),
    "OR of ANDs": "SELECT 1 FROM orders WHERE "
    + " OR ".join(["(id = 1 AND customer = 'a')"] * 100),
    "AND of ORs": "SELECT 1 FROM orders WHERE "
    + " AND ".join(["(id = 1 OR customer = 'a')"] * 400),
    "pivot": "SELECT * FROM orders PIVOT (sum(id) FOR customer IN ("
    + ",".join(f"'{n}'" for n in range(3_000))
    + "))",
    "words": "SELECT " + "a " * 200_000,
    "emoji": "😀" * 300_000,
    "nothing between commas": "SELECT " + "," * 25_000,
    "NUL": "SELECT \x00",
}


@pytest.mark.parametrize("sql", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_ends_in_bounded_time(sql: str) -> None:
    start = time.process_time()
    try:
        prepared(sql)
    except ServiceError as error:
        outcome = error.message
    else:
        outcome = "prepared"
    assert outcome
    assert len(outcome) < 500
    assert time.process_time() - start < SECONDS
