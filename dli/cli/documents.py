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
        help="YAML or JSON: `kind` and the fields of the API; `-` reads standard input. Files that "
        "it names by a relative path lie beside it, and are uploaded.",
        show_default=False,
    ),
]
#: Fields of each kind that name files.
_FILES = {"batch": ("program", "py_files", "jars", "files"), "task": ("stdin", "files")}


def read_document(path: Path) -> dict[str, Any]:
    """The object in a file, a job or a pipeline; files beside it are a ``Path`` each.

    Raises ``UsageError`` with the place of a mistake.
    """
    from dli.remote.documents import DocumentError, parse_document  # noqa: PLC0415  YAML is slow

    text = read_file(path)
    try:
        found = parse_document(text)
    except DocumentError as error:
        raise UsageError(f"{path}: {error}") from error
    nodes = found.get("nodes")
    if isinstance(nodes, dict):
        made = {name: _with_files(node, path, f"nodes.{name}.") for name, node in nodes.items()}
        return found | {"nodes": made}
    return _with_files(found, path)  # type: ignore[no-any-return]


def _with_files(document: Any, beside: Path, within: str = "") -> Any:
    """The document with a ``Path`` for each relative one. Raises ``UsageError``."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        return document
    made = dict(document)
    for field in _FILES.get(kind, ()):
        match made.get(field):
            case str() as one:
                made[field] = _located(one, beside, within + field)
            case list() as several:
                made[field] = [_located(each, beside, within + field) for each in several]
    return made


def _located(given: Any, beside: Path, field: str) -> Any:
    """What is no address is a file of this machine, with its way from the folder of ``beside``."""
    if not isinstance(given, str) or given.startswith("/") or "://" in given:
        return given
    path = beside.parent / given
    if not path.is_file():
        raise UsageError(
            f"{beside}: {field}: there is no file {path}; what the service reads itself begins "
            "with / or a scheme, as s3://"
        )
    return path
