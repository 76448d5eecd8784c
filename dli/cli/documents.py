"""Job files: YAML or JSON with the shape of the API's body."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any, cast

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
    text = read_file(path)
    # By name and only now: most commands have no use for YAML, which is slow to load.
    documents = importlib.import_module("dli.remote.documents")
    try:
        return cast(dict[str, Any], documents.parse_document(text))
    except documents.DocumentError as error:
        raise UsageError(f"{path}: {error}") from error
