"""Sends to the targets of webhooks over HTTP, to addresses that ``targets`` allows."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import certifi
import httpcore

from jobs.notices.targets import (
    TargetForbiddenError,
    TargetRefusedError,
    TargetUnreachableError,
    allowed_address,
)


class HttpSender:
    """A ``Sender``. Safe to use from several threads."""

    def __init__(self, *, allow_private: bool, timeout: timedelta) -> None:
        seconds = timeout.total_seconds()
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(cafile=certifi.where()),
            max_connections=64,
            max_keepalive_connections=8,
            keepalive_expiry=10,
            network_backend=_Guarded(allow_private=allow_private),
        )

    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> int:
        """As ``Targets.post``."""
        try:
            with self._pool.stream(
                "POST",
                url,
                headers=[("Content-Length", str(len(body))), *headers.items()],
                content=body,
                extensions={"timeout": self._timeouts},
            ) as response:
                status: int = response.status
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise TargetUnreachableError(
                f"the target does not answer: {_reason(error)}", hint="it will be tried again"
            ) from error
        except (httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise TargetForbiddenError("the address cannot be used") from error
        if not 200 <= status < 300:
            raise TargetRefusedError(
                f"the target answered {status}", hint="redirects are not followed", status=status
            )
        return status


class _Guarded(httpcore.NetworkBackend):
    """Connects where that is allowed."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = allowed_address(host, port, allow=self._allow_private)
        return self._plain.connect_tcp(address, port, timeout=timeout, local_address=local_address)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise TargetForbiddenError("a socket of this machine is no target")


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
