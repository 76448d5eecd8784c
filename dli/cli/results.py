"""Results to a terminal, a pipe or a file. A file appears whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from dli.cli.output import copy_pieces, print_rows
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
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")
    return chosen


def deliver(session: Session, statement: Statement, *, form: Form, path: Path | None) -> None:
    """Write the result of a finished statement where it shall go."""
    if statement.result is None or not statement.result.schema:
        return
    if form is Form.TABLE:
        _print_table(session, statement)
    elif path is None:
        with session.client.download(statement.id, form.value) as pieces:
            copy_pieces(pieces)
    else:
        with whole_file(path) as file, session.client.download(statement.id, form.value) as pieces:
            file.writelines(pieces)
        session.say(f"wrote {path}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` that takes its place at the end, and vanishes on any error."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _print_table(session: Session, statement: Statement) -> None:
    result = statement.result
    assert result is not None
    print_rows(session.out, result.schema, result.inline)
    if not result.complete_inline:
        session.say(
            f"the first {len(result.inline):,} of {result.rows:,} rows; "
            f"all of them: dli statement result {statement.id} -o FILE.csv"
        )
