"""What routes are handed: the services, the caller, the key of a repeated request.

The dependencies are coroutines so that FastAPI does not send each to a thread of its own; the only
I/O, looking up a token for the first time, goes to one by name.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from dli.api.parameters import check_parameters
from dli.api.rates import Rates
from dli.api.wire import InvalidRequestError
from dli.identity.principals import AnonymousError, Principal, TokenInvalidError
from dli.services import Services

LONGEST_PROJECT = 64  #: characters of a project's id
_LONGEST_SECRET = 512
_LONGEST_KEY = 255


def services_of(request: Request) -> Services:
    """The services of the application that serves this request."""
    return cast(Services, request.app.state.services)


async def _services(request: Request) -> Services:
    return services_of(request)


async def _caller(
    request: Request,
    chosen: Annotated[
        str | None,
        Header(
            alias="DLI-Project",
            description="The project that is meant, for tokens that open several.",
            max_length=LONGEST_PROJECT,
        ),
    ] = None,
) -> Principal:
    caller = await caller_of(request, chosen)
    check_parameters(request)
    return caller


async def caller_of(request: Request, chosen: str | None) -> Principal:
    """Who sends the request, in the project that is ``chosen`` or the token's own.

    Raises ``AnonymousError``, ``RateLimitedError`` and what ``Identity.authenticate`` does.
    """
    secret = bearer(request.headers.get("authorization"))
    identity = services_of(request).identity
    caller = identity.remembered(secret, chosen)
    if caller is None:
        caller = await run_in_threadpool(identity.authenticate, secret, chosen)
    if not request.scope.setdefault("dli.counted", False):  # a route may ask twice
        request.scope["dli.counted"] = True
        rates: Rates = request.app.state.rates
        rates.check(caller.token_id)
    bind_contextvars(project=caller.project_id, user=caller.user)
    return caller


def bearer(header: str | None) -> str:
    """The secret of an ``Authorization`` header.

    Raises ``AnonymousError`` without one and ``TokenInvalidError`` for another scheme.
    """
    if not header:
        raise AnonymousError(
            "no token came with the request", hint="send the header Authorization: Bearer dli_…"
        )
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(secret.strip()) <= _LONGEST_SECRET:
        raise TokenInvalidError(
            "the Authorization header is not of the form Bearer dli_…",
            hint="send the header Authorization: Bearer dli_…",
        )
    return secret.strip()


def checked_key(key: str | None) -> str | None:
    """The key of a repeated request; raises ``InvalidRequestError``."""
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        raise InvalidRequestError(f"Idempotency-Key: use 1 to {_LONGEST_KEY} characters")
    return key


async def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Of your choice, at most 255 characters. For 24 hours the same key and "
            "body give the same answer, and nothing is done twice; another body is refused (409).",
        ),
    ] = None,
) -> str | None:
    return checked_key(key)


AllServices = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_caller)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
