"""``dli price``: the prices in force."""

from __future__ import annotations

import typer

from dli.cli.output import print_items, print_json
from dli.cli.session import JsonFlag, session_of


def price(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the prices in force: what is counted, and what it costs."""
    session = session_of(context)
    with session.client() as client:
        body = client.prices()
    if as_json:
        print_json(session.out, body)
        return
    columns = {"meter": "meter", "class": "class", "price": "price", "currency": "currency"}
    columns |= {"per": "per", "unit": "unit", "minimum": "minimum"}
    columns |= {"effective_from": "since", "in_force": "in force"}
    print_items(session.out, body.get("items") or [], columns)
