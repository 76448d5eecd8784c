"""Job files: YAML or JSON with the shape of the API's body."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.parameters import read_file
from dli.cli.session import UsageError

JobFile = Annotated[
    Path,
    typer.Option(
        "--job",
        "-f",
        help="YAML or JSON: `kind` and the fields of the API; `-` reads standard input.",
        show_default=False,
    ),
]


def read_document(path: Path) -> dict[str, Any]:
    """The object in a file. Raises ``UsageError`` with the place of a mistake."""
    from dli.remote.documents import DocumentError, parse_document  # noqa: PLC0415  YAML is slow

    text = read_file(path)
    try:
        return parse_document(text)
    except DocumentError as error:
        raise UsageError(f"{path}: {error}") from error
