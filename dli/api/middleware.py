"""What happens to every request: an id, a bound on its body, one line in the log, a measure.

Pure ASGI: a layer on the way of every statement must not copy bodies or start tasks.
"""

from __future__ import annotations

import logging
import re
import secrets
import time

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dli.api.wire import BodyTooLargeError, problem
from dli.observability.metrics import Metrics
from storage.base.quantities import format_size

log = logging.getLogger(__name__)

REQUEST_ID = b"x-request-id"
_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_FILES = frozenset({"/api/v1/files"})
_QUIET = ("/healthz", "/readyz", "/metrics")


class _TooLong(HTTPException):
    """Raised where the body is read: FastAPI turns all but this kind into 400."""

    def __init__(self) -> None:
        super().__init__(413)


class RequestMiddleware:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, max_body: int, max_upload: int, metrics: Metrics) -> None:
        self._app = app
        self._max_body = max_body
        self._max_upload = max_upload
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 413 where its body is too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(REQUEST_ID, b"")
        request_id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8).encode()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id.decode())
        status = 500
        answered = False
        taken = 0
        most = self._most(scope, headers)

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _TooLong
            return message

        async def send_named(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        try:
            if _length(headers) > most:
                raise _TooLong
            await self._app(scope, receive_bounded, send_named)
        except _TooLong:
            if not answered:
                await self._refuse(most, scope, receive, send_named)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _most(self, scope: Scope, headers: dict[bytes, bytes]) -> int:
        """Bytes of a body. Files are written down as they come, all others are held in memory."""
        form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        if scope["method"] == "POST" and (scope["path"] in _FILES or form):
            return self._max_upload
        return self._max_body

    async def _refuse(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(too_large(most), instance=scope["path"])
        response.headers["Connection"] = "close"  # the rest of the body is not read
        await response(scope, receive, send)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.request(scope["method"], route, status, seconds)
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        if log.isEnabledFor(level):
            log.log(
                level,
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                },
            )


def too_large(most: int) -> BodyTooLargeError:
    """The refusal of a body of more than ``most`` bytes."""
    return BodyTooLargeError(
        f"the body is larger than {format_size(most)}",
        hint="data goes into object storage, not into requests",
    )


def _length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0
