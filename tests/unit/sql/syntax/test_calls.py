"""A call in a statement is the call that an engine gets, whatever names the parser knows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from sqlglot import exp

from sql.errors import SqlError
from sql.rewrite.calls import engine_tree
from sql.syntax.calls import FOREIGN
from sql.syntax.dialect import DIALECT, FOREIGN_ERRORS, render
from sql.syntax.parse import parse

PARSER = DIALECT.parser_class
KNOWN = sorted({*PARSER.FUNCTIONS, *PARSER.FUNCTION_PARSERS, *PARSER.NO_PAREN_FUNCTION_PARSERS})
ARGUMENTS = (
    "'java_method'",
    "'java_method', 'a'",
    "x, 'java_method', 'a'",
)


def statements(name: str) -> Iterator[str]:
    for arguments in ARGUMENTS:
        yield f"SELECT {name}({arguments}) AS z, `{name}`({arguments}) AS y FROM t"


def test_no_name_makes_a_call_of_its_argument(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    printed = 0
    for name in KNOWN:
        for text in statements(name):
            try:
                made = render(engine_tree(parse(text))).lower()
            except (SqlError, *FOREIGN_ERRORS):
                continue
            printed += 1
            assert "java_method(" not in made, text
            assert "java_method`(" not in made, text
    assert printed > len(KNOWN)


def test_functions_of_other_systems_are_calls_that_nobody_knows() -> None:
    for name in FOREIGN:
        for text in statements(name):
            try:
                tree = parse(text).tree
            except SqlError:
                continue
            assert tree is not None
            calls = {call.name.lower() for call in tree.find_all(exp.Anonymous)}
            assert calls == {name}, text


def test_names_of_functions_may_name_other_things() -> None:
    text = "WITH host(week) AS (SELECT 1) SELECT `list`.week FROM host AS `list`(week)"
    assert render(engine_tree(parse(text))) == text
