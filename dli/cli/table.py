"""``dli table``: files as tables."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

import typer

from dli.cli.output import (
    counted,
    print_answer,
    print_facts,
    print_items,
    print_list,
    size,
    told,
)
from dli.cli.parameters import parse_labels, parse_words
from dli.cli.session import JsonFlag, Session, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Register, list, show, refresh and drop tables.")
Name = Annotated[str, typer.Argument(help="DATABASE.TABLE; a bare name is in `default`.")]

_TABLES = {"name": "table", "kind": "kind", "format": "format", "location": "location"}
_TABLES |= {"comment": "comment"}
_COLUMNS = {"name": "column", "type": "type", "nullable": "nullable", "comment": "comment"}
_FACTS = ("kind", "format", "location", "partitioned_by", "options", "comment", "view_sql")


@app.command("register")
def register(
    context: typer.Context,
    name: Name,
    location: Annotated[
        str, typer.Argument(help="A folder, a glob or a file; a path here or s3://BUCKET/…")
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="parquet, csv or json (one object a line).")
    ] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="CSV: the first line has names.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="CSV: what stands between values.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="A reader's option as Spark names it, KEY=VALUE; repeatable. A quote within "
            "quotes of a CSV is doubled, unless escape= says otherwise."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help='Names and types, "id bigint, day date"; else taken from the files.'),
    ] = None,
    partitioned_by: Annotated[
        str | None, typer.Option(help="Columns in the folders' names (day=…), by commas.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="What is in it.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a table of that name.")
    ] = False,
) -> None:
    """Make files that lie somewhere a table. They are listed and their footers read, once.

    Examples: `dli table register sales.orders '/data/orders/*.parquet'` or
    `dli table register sales.log s3://bucket/log/ --format csv --header --partitioned-by day`
    """
    options = parse_labels(option, "--option") or {}
    if header is not None:
        options["header"] = "true" if header else "false"
    if delimiter is not None:
        options["sep"] = delimiter
    session = session_of(context)
    session.client.register_table(
        name,
        whole_location(location),
        format=format_,
        options=options or None,
        columns=parse_columns(columns) if columns else None,
        partitioned_by=parse_words(partitioned_by or None),
        comment=comment,
        or_replace=replace or None,
    )
    counts = _counts(session.client.table(name))
    session.say(f"table {name.lower()} registered" + (f": {counts}" if counts else ""))


@app.command("list")
def list_(
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="The database.")] = "default",
    as_json: JsonFlag = False,
) -> None:
    """List the tables of a database."""
    session = session_of(context)
    print_list(session, session.client.tables(database), _TABLES, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Show a table: columns, where its files lie, how many and how large they are."""
    session = session_of(context)
    print_answer(session, session.client.table(name), _print, as_json=as_json)


@app.command("refresh")
def refresh(context: typer.Context, name: Name) -> None:
    """Look at an external table's files again, now, instead of at its next use."""
    session = session_of(context)
    table = session.client.refresh_table(name)
    session.say(f"table {name.lower()}: {_counts(table) or 'refreshed'}")


@app.command("drop")
def drop(context: typer.Context, name: Name) -> None:
    """Forget a table. The files of an external table stay where they are."""
    session = session_of(context)
    session.client.drop_table(name)
    session.say(f"table {name.lower()} dropped")


def whole_location(location: str) -> str:
    """A path here from the root, as the service knows nothing of our folder; URIs as they are."""
    if "://" in location or location.startswith("/"):
        return location
    slash = "/" if location.endswith("/") else ""
    return os.path.abspath(os.path.expanduser(location)) + slash


def parse_columns(text: str) -> list[dict[str, str]]:
    """Columns of ``id bigint, price decimal(10,2)``; commas inside brackets are the types'."""
    columns = []
    for part in re.split(r",(?![^(<]*[)>])", text):
        name, _, kind = part.strip().partition(" ")
        if not name or not kind.strip():
            raise UsageError(f"--columns: {part.strip()!r} is not NAME TYPE")
        columns.append({"name": name.strip("`"), "type": kind.strip()})
    return columns


def _print(session: Session, table: dict[str, Any]) -> None:
    print_facts(
        session.out,
        {"table": f"{table.get('database')}.{table.get('name')}"}
        | {fact.replace("_", " "): table.get(fact) or None for fact in _FACTS}
        | {"files": _counts(table) or None},
    )
    session.out.print()
    print_items(session.out, table.get("columns") or [], _COLUMNS)


def _counts(table: dict[str, Any]) -> str:
    """``3 files, 58.4 MB, 600,572 rows``, as far as the service tells."""
    statistics = table.get("statistics") or {}
    rows = statistics.get("rows")
    parts = [
        counted(int(statistics["files"]), "file") if statistics.get("files") is not None else "",
        size(statistics["bytes"]) if statistics.get("bytes") is not None else "",
        counted(int(rows), "row") if rows is not None else "",
    ]
    return told([part for part in parts if part])
