"""How answers look to people: lists, tables, sizes, money, counts."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dli.cli.session import Session
from dli.remote.statement import Field, Money
from storage.base.quantities import format_size

_NUMERIC = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "long", "short")


T = TypeVar("T")


def print_answer(
    session: Session, answer: T, form: Callable[[Session, T], None], *, as_json: bool
) -> None:
    """What the service said: as JSON, or in the form for people."""
    if as_json:
        print_json(session.out, answer)
    else:
        form(session, answer)


def print_list(
    session: Session,
    items: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    """Things of the service: as JSON, or as a table with the ``columns`` of ``print_items``."""
    if as_json:
        print_json(session.out, items)
    else:
        print_items(session.out, items, columns)


def print_json(console: Console, value: object) -> None:
    """JSON, indented, never wrapped."""
    print_text(console, json.dumps(value, indent=2, ensure_ascii=False))


def print_rows(console: Console, fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> None:
    """Rows of a result; numbers to the right, NULL told apart from the text NULL by its style."""
    table = _table()
    for field in fields:
        right = field.type.startswith(_NUMERIC)
        table.add_column(Text(printable(field.name)), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def print_items(
    console: Console, items: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> None:
    """Things of the API as a table; ``columns`` maps a path in the item to a heading.

    A path may be dotted. What is missing everywhere is left out as a column.
    """
    shown = [path for path in columns if any(_at(item, path) is not None for item in items)]
    if not items:
        console.print("none", style="dim")
        return
    table = _table()
    for path in shown:
        values = [_at(item, path) for item in items]
        numeric = all(isinstance(value, int | float | None) for value in values)
        table.add_column(columns[path], justify="right" if numeric else "left")
    for item in items:
        table.add_row(*(Text(told(_at(item, path))) for path in shown))
    console.print(table)


def print_text(console: Console, text: str) -> None:
    """A text as it is, never wrapped, so that a shell can take it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_facts(console: Console, facts: Mapping[str, object]) -> None:
    """Names and values, one a line; None is left out."""
    known = {name: value for name, value in facts.items() if value is not None}
    width = max((len(name) for name in known), default=0)
    for name, value in known.items():
        line = Text(f"{name:<{width}}  ", style="bold")
        line.append(told(value), style="not bold")
        console.print(line, soft_wrap=True)


def told(value: object) -> str:
    """A value of the API as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        if set(value) >= {"amount", "currency"}:
            return str(Money.read(value))
        return ", ".join(f"{name}={told(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(told(each) for each in value)
    return printable(str(value))


def band(bounds: Mapping[str, Any], *, digits: int = 0) -> str:
    """``4``, or ``1 to 4, likely 2``; an open end is ``any number``."""
    low, likely, high = (bounds.get(name) for name in ("low", "likely", "high"))
    if likely is None:
        return "unknown"
    if low == likely == high:
        return f"{likely:,.{digits}f}"
    top = "any number" if high is None else f"{high:,.{digits}f}"
    return f"{low or 0:,.{digits}f} to {top}, likely {likely:,.{digits}f}"


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(value: object) -> str:
    """``58.4 MB`` for a number of bytes, as number or text."""
    return format_size(int(str(value or 0)))


def printable(text: str) -> str:
    """The text with what could steer a terminal made visible; line ends become spaces."""
    if text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in "\n\t":
        return " "
    if unicodedata.category(char).startswith("C"):
        return char.encode("unicode_escape").decode()
    return char


def _cell(value: object) -> Text:
    if value is None:
        return Text("NULL", style="dim italic")
    if isinstance(value, bool):
        return Text("true" if value else "false")
    if isinstance(value, list | dict):
        return Text(printable(json.dumps(value, ensure_ascii=False)))
    return Text(printable(str(value)))


def _at(item: Mapping[str, Any], path: str) -> Any:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
