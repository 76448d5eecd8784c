"""``dli price``: the prices in force."""

from __future__ import annotations

from typing import Any

import typer

from dli.cli.output import print_answer, print_items
from dli.cli.session import JsonFlag, Session, session_of

_COLUMNS = {"meter": "meter", "class": "class", "price": "price", "currency": "currency"}
_COLUMNS |= {"per": "per", "unit": "unit", "minimum": "minimum"}
_COLUMNS |= {"effective_from": "since", "in_force": "in force"}


def price(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the prices in force: what is counted, and what it costs."""
    session = session_of(context)
    print_answer(session, session.client.prices(), _print, as_json=as_json)


def _print(session: Session, prices: dict[str, Any]) -> None:
    print_items(session.out, prices.get("items") or [], _COLUMNS)
