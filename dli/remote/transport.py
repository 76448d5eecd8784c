"""HTTP to the service: one connection pool, the token, retries of what may be asked twice."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

from dli.remote.problems import ApiError, Problem, UnreachableError

#: Statuses that say "later": the limits of a queue, a replica that stops, a database that is away.
_LATER = frozenset({429, 502, 503, 504})
_TRIES = 4
_LONGEST_PAUSE = 5.0  #: seconds
_BLOCK = 1 << 20
_UPLOAD_TIMEOUT = 300.0  #: seconds for the service to take a piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer: its JSON (None for an empty body), status and headers."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Transport:
    """Speaks to one service as one bearer of a token.

    GET, PUT and DELETE are asked again when the service is away or busy for a moment, and so is a
    POST that carries an ``Idempotency-Key``. Everything else fails at once.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        project: str | None = None,
        timeout: float = 30.0,
        patient: bool = True,
    ) -> None:
        headers = {"Accept": "application/json", "User-Agent": "dli-client/1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if project:
            headers["DLI-Project"] = project
        self.url = url.rstrip("/")
        self._tries = _TRIES if patient else 1
        self._pause = threading.Event()  # never set: an interruptible pause
        # A proxy of the environment, as companies have, knows nothing of this machine.
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, trust_env=not _is_here(self.url)
        )

    def __repr__(self) -> str:
        return f"Transport({self.url!r})"

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One call; a 304 is an answer with no body.

        Raises ``ApiError`` for a problem and ``UnreachableError`` where nothing answers.
        """
        again = method != "POST" or "Idempotency-Key" in (headers or {})
        request = self._http.build_request(
            method,
            path,
            params=_given(query),
            json=body,
            headers=dict(headers or {}),
            timeout=self._http.timeout if timeout is None else timeout,
        )
        return self._patient(lambda: self._http.send(request), again=again)

    def upload(self, path: str, file: Path) -> Answer:
        """POST the bytes of a local file, piece by piece; asked again, as twice is as once.

        Raises as ``ask``, and ``OSError`` for a file that cannot be read.
        """

        def send() -> httpx.Response:
            with file.open("rb") as source:
                size = os.fstat(source.fileno()).st_size
                return self._http.post(
                    path,
                    content=iter(lambda: source.read(_BLOCK), b""),
                    headers={"Content-Length": str(size)},
                    timeout=_UPLOAD_TIMEOUT,
                )

        return self._patient(send, again=True)

    def upload_stream(self, path: str, source: BinaryIO) -> Answer:
        """POST what ``source`` gives, piece by piece; asked once, since it cannot be read again."""
        pieces = iter(lambda: source.read(_BLOCK), b"")
        return self._patient(
            lambda: self._http.post(path, content=pieces, timeout=_UPLOAD_TIMEOUT), again=False
        )

    def _patient(self, send: Callable[[], httpx.Response], *, again: bool) -> Answer:
        """The answer to ``send``, which is asked again where that may help."""
        for left in range(self._tries - 1, -1, -1):
            try:
                response = send()
            except httpx.TransportError as error:
                if not left or not again:
                    raise self._unreachable(error) from error
                self._wait(self._tries - left, None)
                continue
            if response.status_code in _LATER and left and again and _temporary(response):
                self._wait(self._tries - left, response.headers.get("Retry-After"))
                continue
            return _read(response)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        accept: str,
        query: Mapping[str, object] | None = None,
        live: bool = False,
    ) -> Iterator[Iterator[bytes]]:
        """The body of a GET as it arrives, in pieces; a ``live`` one may be silent for long."""
        timeout = httpx.Timeout(self._http.timeout.connect, read=None) if live else None
        try:
            with self._http.stream(
                "GET",
                path,
                params=_given(query),
                headers={"Accept": accept},
                timeout=timeout or self._http.timeout,
            ) as response:
                if response.status_code != 200:
                    response.read()
                    raise ApiError(_problem(response))
                yield response.iter_bytes(None if live else 1 << 20)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def read(
        self, path: str, *, accept: str, query: Mapping[str, object] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """The whole body of a GET, and its headers."""
        try:
            response = self._http.get(path, params=_given(query), headers={"Accept": accept})
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise ApiError(_problem(response))
        return response.content, response.headers

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        return UnreachableError(f"{self.url}: {what or type(error).__name__}")

    def _wait(self, tried: int, asked: str | None) -> None:
        pause = 0.1 * 2**tried * random.uniform(0.5, 1.0)  # noqa: S311  jitter, no secret
        if asked and asked.isdigit():
            pause = max(pause, int(asked))
        self._pause.wait(min(pause, _LONGEST_PAUSE))


def _given(query: Mapping[str, object] | None) -> dict[str, str | list[str]] | None:
    if query is None:
        return None
    given: dict[str, str | list[str]] = {}
    for name, value in query.items():
        if isinstance(value, list | tuple):
            given[name] = [str(each) for each in value]
        elif value is not None:
            given[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return given


def _read(response: httpx.Response) -> Answer:
    if response.status_code >= 400:
        raise ApiError(_problem(response))
    body = response.json() if response.content else None
    return Answer(status=response.status_code, body=body, headers=response.headers)


def _temporary(response: httpx.Response) -> bool:
    return _problem(response).retryable


def _problem(response: httpx.Response) -> Problem:
    """The problem in the body, or one made of the status where something else answered."""
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict):
        reason = response.reason_phrase or "an answer that is not JSON"
        body = {
            "code": "unexpected_answer",
            "detail": f"the server answered {response.status_code} {reason}",
            "hint": "is this the address of a dli service?",
            "retryable": response.status_code in _LATER,
        }
    return Problem.read(body, status=response.status_code)


def _is_here(url: str) -> bool:
    """Whether the address is one of this machine alone."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, or no address at all
        return False
