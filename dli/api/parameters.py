"""Parameters in an address that its route does not know: an error, as unknown fields of a body are.

A filter that is misspelt would otherwise be no filter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from dli.api.complaints import summed_up
from dli.api.wire import InvalidRequestError


def check_parameters(request: Request) -> None:
    """Raises ``InvalidRequestError`` for what the request's route takes no parameter of."""
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    known = set(_known(route.dependant))
    told = [_complaint(name, known) for name in sorted({*request.query_params} - known)]
    if told:
        message, hint = summed_up(told)
        raise InvalidRequestError(message, hint=hint, errors=told)


def _known(dependant: Dependant) -> Iterator[str]:
    """Names of the parameters of a route and of all that it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for other in dependant.dependencies:
        yield from _known(other)


def _complaint(name: str, known: Collection[str]) -> dict[str, Any]:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else None
    return {"field": name, "message": "is not a known parameter", "hint": hint}
