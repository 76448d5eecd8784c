"""Results to a terminal, a pipe or a file."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

from dli.cli.files import check_folder, copy_pieces
from dli.cli.output import print_rows
from dli.cli.session import Session, UsageError
from dli.remote.statement import Statement


class Form(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    PARQUET = "parquet"


_BINARY = frozenset({Form.ARROW, Form.PARQUET})
_SUFFIXES = {
    ".csv": Form.CSV,
    ".json": Form.JSON,
    ".arrow": Form.ARROW,
    ".arrows": Form.ARROW,
    ".parquet": Form.PARQUET,
}


def choose_form(form: Form | None, path: Path | None) -> Form:
    """The form that was asked for, else the one that the file's name says, else a table.

    Raises ``UsageError`` for bytes to a terminal and for a table into a file.
    """
    if path is None:
        if form in _BINARY and sys.stdout.isatty():
            raise UsageError(f"{form.value} is not for a terminal: name a file with -o")
        return form or Form.TABLE
    chosen = form or _SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        raise UsageError(f"say what {path.name} shall be: --output csv, json, arrow or parquet")
    if chosen is Form.TABLE:
        raise UsageError("a table is for people: choose csv, json, arrow or parquet for a file")
    check_folder(path)
    return chosen


def deliver(session: Session, statement: Statement, *, form: Form, path: Path | None) -> None:
    """Write the result of a finished statement where it shall go."""
    if statement.result is None or not statement.result.schema:
        return
    if form is Form.TABLE:
        _print_table(session, statement)
    else:
        with session.client.download(statement.id, form.value) as pieces:
            copy_pieces(pieces, path)
        if path is not None:
            session.say(f"wrote {path}")


def _print_table(session: Session, statement: Statement) -> None:
    result = statement.result
    assert result is not None
    print_rows(session.out, result.schema, result.inline)
    if not result.complete_inline:
        session.say(
            f"the first {len(result.inline):,} of {result.rows:,} rows; "
            f"all of them: dli statement result {statement.id} -o FILE.csv"
        )
