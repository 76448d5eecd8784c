from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dli.cli.complaints import excerpt
from dli.cli.output import band, print_items, print_rows, printable, told
from dli.cli.parameters import parse_labels, parse_parameters, read_file
from dli.cli.session import UsageError
from dli.cli.table import parse_columns, whole_location
from dli.remote.statement import Field


def printed(fields: list[Field], rows: list[list[object]]) -> list[str]:
    console = Console(file=io.StringIO(), width=500)
    print_rows(console, fields, rows)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_numbers_stand_right_and_text_left() -> None:
    fields = [
        Field(name="name", type="string", nullable=True),
        Field(name="n", type="bigint", nullable=True),
    ]
    lines = printed(fields, [["a", "1"], ["bcdef", "1000"]])
    assert lines[2] == "a          1"
    assert lines[3] == "bcdef   1000"


def test_markup_in_data_is_only_text() -> None:
    lines = printed([Field(name="[bold]x[/]", type="string", nullable=True)], [["[red]y[/red]"]])
    assert "[bold]x[/]" in lines[0]
    assert "[red]y[/red]" in lines[2]


def test_nested_values_are_json() -> None:
    lines = printed([Field(name="m", type="map<string,int>", nullable=True)], [[{"a": [1, None]}]])
    assert lines[2] == '{"a": [1, null]}'


def test_escape_sequences_of_data_never_reach_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x00\u202e") == "a\\x1b[2Jb\\x00\\u202e"
    assert printable("zwei\nZeilen\t€") == "zwei Zeilen €"


def test_money_is_shown_without_needless_zeros() -> None:
    assert told({"amount": "0.000265000", "currency": "USD"}) == "USD 0.000265"
    assert told({"amount": "12.000000000", "currency": "USD"}) == "USD 12.00"
    assert told({"amount": "0.000000001", "currency": "EUR"}) == "EUR 0.000000001"


def test_band_tells_what_is_known() -> None:
    assert band({"low": 4, "likely": 4, "high": 4}) == "4"
    assert band({"low": 1, "likely": 2, "high": 4000}) == "1 to 4,000, likely 2"
    assert band({"low": 0, "likely": 9, "high": None}) == "0 to any number, likely 9"
    assert band({}) == "unknown"


def test_columns_that_nothing_fills_are_left_out() -> None:
    console = Console(file=io.StringIO(), width=500)
    print_items(console, [{"a": 1, "b": None}], {"a": "first", "b": "second"})
    assert "second" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_caret_stands_below_wide_characters_and_tabs() -> None:
    text, caret = excerpt("SELECT\t'中文', x", line=1, column=14)
    assert text == "   1 | SELECT '中文', x"
    assert caret == "     | " + " " * 15 + "^"


def test_place_outside_of_the_text_shows_nothing() -> None:
    assert excerpt("SELECT 1", line=5, column=1) == []


def test_parameters_are_text_unless_typed() -> None:
    given = ["a=1", "b:int=1", "c:date=2026-01-01", "d:boolean=TRUE", "e:null=", "f:string=x=y"]
    assert parse_parameters(given) == {
        "a": "1",
        "b": 1,
        "c": {"type": "date", "value": "2026-01-01"},
        "d": True,
        "e": None,
        "f": "x=y",
    }


def test_types_with_brackets_are_types() -> None:
    assert parse_parameters(["p:decimal(10,2)=1.50"]) == {
        "p": {"type": "decimal(10,2)", "value": "1.50"}
    }


@pytest.mark.parametrize("text", ["a", "=1", "1a=2", "a:int=x", "a:bool=perhaps"])
def test_broken_parameter_is_bad_usage(text: str) -> None:
    with pytest.raises(UsageError, match="--param"):
        parse_parameters([text])


def test_parameter_given_twice_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_parameters(["a=1", "a=2"])


def test_label_without_value_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        parse_labels(["team"])


def test_column_types_keep_their_commas() -> None:
    assert parse_columns("id bigint, price decimal(10,2), m map<string,int>") == [
        {"name": "id", "type": "bigint"},
        {"name": "price", "type": "decimal(10,2)"},
        {"name": "m", "type": "map<string,int>"},
    ]


@pytest.mark.parametrize("location", ["s3://bucket/a/", "/data/*.parquet", "file:///data"])
def test_whole_locations_are_sent_as_they_are(location: str) -> None:
    assert whole_location(location) == location


def test_relative_location_is_below_our_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_location("data/day=*/") == f"{tmp_path}/data/day=*/"


def test_the_mark_of_some_editors_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"\xef\xbb\xbfSELECT 1")
    assert read_file(tmp_path / "a.sql") == "SELECT 1"
