from __future__ import annotations

import pytest

from storage.catalog.definitions import TableFormat
from storage.tables.errors import ReaderOptionError
from storage.tables.formats.options import checked_options, reader_options


def test_options_are_spelled_as_spark_does_and_sorted() -> None:
    given = [("SEP", "\\t"), ("HEADER", "TRUE"), ("multiline", "0"), ("nullvalue", "NA")]
    assert checked_options(TableFormat.CSV, given) == (
        ("header", "true"),
        ("multiLine", "false"),
        ("nullValue", "NA"),
        ("sep", "\t"),
    )


def test_a_delimiter_is_a_separator() -> None:
    assert checked_options(TableFormat.CSV, [("delimiter", ";")]) == (("sep", ";"),)


@pytest.mark.parametrize("kind", TableFormat)
def test_habits_without_effect_are_let_through(kind: TableFormat) -> None:
    assert checked_options(kind, [("inferSchema", "true"), ("mergeSchema", "true")]) == ()


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (TableFormat.CSV, "header", "maybe"),
        (TableFormat.CSV, "sep", "ab"),
        (TableFormat.CSV, "sep", "\n"),
        (TableFormat.CSV, "quote", "''"),
        (TableFormat.CSV, "encoding", "latin1"),
        (TableFormat.JSON, "header", "true"),
        (TableFormat.JSON, "multiLine", "true"),
        (TableFormat.PARQUET, "compression", "zstd"),
    ],
)
def test_options_that_cannot_be_are_refused(kind: TableFormat, name: str, value: str) -> None:
    with pytest.raises(ReaderOptionError):
        checked_options(kind, [(name, value)])


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (TableFormat.CSV, {"header": "true"}, {"header": "true", "escape": '"'}),
        (TableFormat.CSV, {"quote": "'"}, {"quote": "'", "escape": "'"}),
        (TableFormat.CSV, {"escape": "\\"}, {"escape": "\\"}),
        (TableFormat.JSON, {}, {}),
    ],
)
def test_a_quote_within_quotes_is_doubled_unless_told_otherwise(
    kind: TableFormat, options: dict[str, str], told: dict[str, str]
) -> None:
    assert reader_options(kind, options.items()) == told


def test_a_mistyped_option_gets_a_suggestion() -> None:
    with pytest.raises(ReaderOptionError) as caught:
        checked_options(TableFormat.CSV, [("haeder", "true")])
    assert caught.value.hint == "did you mean 'header'?"
