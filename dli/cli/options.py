"""Options that several commands take, and groups of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

T = TypeVar("T")

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many.")]

State = Annotated[str | None, typer.Option(help="queued, running, finished, failed, …")]
OfQueue = Annotated[str | None, typer.Option(help="Of this queue.")]
OfLabel = Annotated[str | None, typer.Option(help="KEY=VALUE.")]
Since = Annotated[str | None, typer.Option(help="Made at or after, 2026-11-21T09:00Z.")]
Until = Annotated[str | None, typer.Option(help="Made before.")]

Queue = Annotated[str | None, typer.Option(help="The queue to wait in.")]
Priority = Annotated[int | None, typer.Option(help="Higher starts first.")]
Attempts = Annotated[int | None, typer.Option(help="How often it is tried at most.")]
Labels = Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeatable.")]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", help="Pattern of files that it leaves to keep, as 'out/*.csv'."),
]
Into = Annotated[Path | None, typer.Option("-o", "--into", help="Write it to this file.")]
Wait = Annotated[bool, typer.Option(help="Return only when it has stopped.")]


def grouped(command: Callable[..., T]) -> Callable[..., T]:
    """The command with an option for each field of a parameter that is a dataclass.

    typer reads what a command takes from its signature, one parameter an option. This writes the
    fields there, in the place of the parameter, and hands them on as one value.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    taken: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            taken += _parameters(groups[name])
        else:
            keyword = inspect.Parameter.KEYWORD_ONLY
            taken.append(parameter.replace(annotation=hints[name], kind=keyword))

    @wraps(command)
    def called(**given: Any) -> T:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        return command(**given)

    called.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return called


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]
