from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from storage.catalog.definitions import TableFormat
from storage.tables.errors import CorruptFileError
from storage.tables.formats.text import infer_columns
from tests.support.parquet import info, open_path


def infer(
    kind: TableFormat, folder: Path, *contents: str | bytes, name: str = "f", **options: str
) -> dict[str, str]:
    """Columns and types of files with these contents."""
    files = []
    for number, content in enumerate(contents):
        path = folder / f"{number}-{name}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        files.append(info(path))
    return {one.name: one.type for one in infer_columns(kind, open_path, files, options)}


def csv(folder: Path, *contents: str | bytes, **options: str) -> dict[str, str]:
    return infer(TableFormat.CSV, folder, *contents, **options)


def json(folder: Path, *contents: str) -> dict[str, str]:
    return infer(TableFormat.JSON, folder, *contents)


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    text = "id,price,day,at,ok,Note\n1,1.5,2026-01-01,2026-01-01 10:00:00,true,x\n"
    assert csv(tmp_path, text, header="true") == {
        "id": "bigint",
        "price": "double",
        "day": "date",
        "at": "timestamp",
        "ok": "boolean",
        "Note": "string",
    }


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    assert csv(tmp_path, "1,a\n2,b\n") == {"_c0": "bigint", "_c1": "string"}


def test_options_of_the_reader_hold_for_the_sample(tmp_path: Path) -> None:
    text = "# made by hand\na;b\n1;'x;y'\nNA;z\n"
    options = {"header": "true", "sep": ";", "quote": "'", "nullValue": "NA", "comment": "#"}
    assert csv(tmp_path, text, **options) == {"a": "bigint", "b": "string"}


def test_a_backslash_is_a_character_unless_it_is_the_escape(tmp_path: Path) -> None:
    text = 'a,b,c\n"x\\",1,2\n'
    assert csv(tmp_path, text, header="true") == {"a": "string", "b": "bigint", "c": "bigint"}
    escaped = 'a,b\n"x\\",y",1\n'
    assert csv(tmp_path, escaped, header="true", escape="\\") == {"a": "string", "b": "bigint"}


def test_quoted_lines_may_hold_line_ends(tmp_path: Path) -> None:
    text = 'a,b\n"x\ny",1\n'
    assert csv(tmp_path, text, header="true", multiLine="true") == {"a": "string", "b": "bigint"}


def test_types_of_several_files_are_widened_or_text(tmp_path: Path) -> None:
    first, second = "a,b,c\n1,1,\n", "a,b,d\n2,x,5\n"
    assert csv(tmp_path, first, second, header="true") == {
        "a": "bigint",
        "b": "string",
        "c": "string",
        "d": "bigint",
    }


def test_compressed_files_are_looked_into(tmp_path: Path) -> None:
    data = gzip.compress(b"a,b\n1,2\n")
    found = infer(TableFormat.CSV, tmp_path, data, name="f.csv.gz", header="true")
    assert found == {"a": "bigint", "b": "bigint"}


def test_of_a_long_file_the_beginning_counts(tmp_path: Path) -> None:
    text = "a\n" + "1\n" * 3_000_000 + "x\n"
    assert csv(tmp_path, text, header="true") == {"a": "bigint"}


def test_broken_text_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="0-f"):
        csv(tmp_path, b"\xff\xfea,b\n\xff\xff,2\n" * 3, header="true")
    with pytest.raises(CorruptFileError, match="0-f"):
        json(tmp_path, '{"a": 1}\n{"a": \n')


def test_json_keys_are_columns(tmp_path: Path) -> None:
    lines = '{"id": 1, "x": 1.5, "tags": ["a"], "in": {"y": null, "z": true}}\n{"id": 2, "n": null}'
    assert json(tmp_path, lines) == {
        "id": "bigint",
        "x": "double",
        "tags": "array<string>",
        "in": "struct<y:string,z:boolean>",
        "n": "string",
    }


def test_json_types_that_do_not_meet_become_text(tmp_path: Path) -> None:
    assert json(tmp_path, '{"a": 1}', '{"a": "x"}') == {"a": "string"}


def test_empty_files_have_no_columns(tmp_path: Path) -> None:
    assert csv(tmp_path, "\n", header="true") == {}
    assert json(tmp_path, " \n") == {}
