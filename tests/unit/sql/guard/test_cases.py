"""Every guard rule against its cases in tests/data/sql/guard_<code>.sql.

A case is a comment that begins with ``finds: <part of the message>`` or ``nothing``, and the
statement below it, up to a semicolon at the end of a line. ``limits: name=value`` at the top of a
file sets a limit. The tables are those of ``lake``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sql.analysis.bind import bind
from sql.analysis.view import CatalogView
from sql.cost.estimate import estimate
from sql.guard.api import Candidate
from sql.guard.limits import RULE_CODES, GuardLimits
from sql.guard.runner import RULES, level_of, run
from sql.scan.scanset import scans
from sql.statement import Finding, FindingLevel, TableName
from sql.syntax.parse import parse
from storage.catalog.definitions import Column
from tests.support.footers import relation_of
from tests.support.tpc import view_of

DATA = Path(__file__).parents[3] / "data" / "sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    rule: str
    finds: str | None  #: part of the message
    sql: str
    limits: GuardLimits


def cases() -> Iterator[Case]:
    for path in sorted(DATA.glob("guard_*.sql")):
        rule, limits, finds = path.stem.removeprefix("guard_"), GuardLimits(), None
        for line in path.read_text().splitlines()[1:]:
            if line.startswith("-- limits: "):
                name, _, value = line.removeprefix("-- limits: ").partition("=")
                limits = _set(limits, name, int(value))
            elif line.startswith("--"):
                finds = line.removeprefix("-- finds: ") if line.startswith("-- finds: ") else None
            else:
                assert line.endswith(";"), line
                yield Case(rule=rule, finds=finds, sql=line[:-1], limits=limits)


def _set(limits: GuardLimits, name: str, value: int) -> GuardLimits:
    settings: dict[str, Any] = {name: value}
    return replace(limits, **settings)


@cache
def lake() -> CatalogView:
    small = pa.array(range(10), pa.int32())
    text = pa.array([str(number) for number in range(10)])
    wide = pa.array(range(20_000), pa.int32())
    day = pa.table({"n": small})
    relations = [
        relation_of("default.a", {(): pa.table({"k": small, "x": small, "s": text})}),
        relation_of("default.b", {(): pa.table({"k": small, "y": small})}),
        relation_of("default.wide", {(): pa.table({"k": wide, "x": wide})}),
        relation_of(
            "default.days",
            {("2026-01-01",): day, ("2026-01-02",): day, ("2026-01-03",): day},
            partitions=[("day", "date")],
        ),
        view_of(
            TableName(database="default", name="with_java"),
            "SELECT java_method('java.util.UUID', 'randomUUID') AS v",
            (Column(name="v", type="string"),),
        ),
    ]
    return CatalogView(
        relations={relation.name: relation for relation in relations}, databases=("default",)
    )


def findings(sql: str, limits: GuardLimits) -> tuple[Finding, ...]:
    bound = bind(parse(sql), view=lake(), database="default")
    cost = estimate(bound, scans(bound)).cost
    return run(Candidate(bound=bound, cost=cost), limits)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.rule}: {case.sql[:60]}")
def test_a_rule_finds_what_its_case_says(case: Case) -> None:
    messages = [item.message for item in findings(case.sql, case.limits) if item.rule == case.rule]
    if case.finds is None:
        assert messages == []
    else:
        assert [case.finds in message for message in messages] == [True]


def test_every_rule_has_cases_of_both_kinds() -> None:
    kinds = {(case.rule, case.finds is None) for case in cases()}
    assert kinds == {(rule.code, none) for rule in RULES for none in (True, False)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_in_the_file_of_its_name(rule: object) -> None:
    code = next(item.code for item in RULES if item is rule)
    root = DATA.parents[2]
    assert f'code="{code}"' in (root / "sql" / "guard" / "rules" / f"{code}.py").read_text()


def test_levels_silence_and_sharpen_a_rule() -> None:
    sql = "SELECT * FROM a"
    assert findings(sql, GuardLimits(levels={"select_star": "off"})) == ()
    found = findings(sql, GuardLimits(levels={"select_star": "refuse"}))
    assert [(item.rule, item.level) for item in found] == [("select_star", FindingLevel.REFUSE)]


@pytest.mark.parametrize("level", ["off", "warn"])
def test_what_reaches_outside_is_refused_on_every_queue(level: str) -> None:
    found = findings(
        "SELECT reflect('a', 'b') AS r", GuardLimits(levels={"reaches_outside": level})
    )
    assert [item.level for item in found] == [FindingLevel.REFUSE]


def test_rules_warn_unless_they_say_otherwise() -> None:
    levels = {rule.code: level_of(rule, GuardLimits()) for rule in RULES}
    refusing = {code for code, level in levels.items() if level is FindingLevel.REFUSE}
    assert refusing == {"reaches_outside", "max_bytes"}


def test_the_codes_that_a_queue_may_set_are_those_of_the_rules() -> None:
    assert tuple(rule.code for rule in RULES) == RULE_CODES
