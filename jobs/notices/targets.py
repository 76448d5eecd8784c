"""Where notifications may go: no address of this machine or its networks, unless that is allowed.

A name is looked up once, all of its addresses are checked, and the connection goes to one of these,
so that a second answer of the name's owner cannot lead elsewhere. Redirects are not followed and no
proxy of the environment is used.
"""

from __future__ import annotations

import importlib
import ipaddress
import socket
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

from storage.base.errors import RefusedError, UnavailableError

_TIMEOUT = timedelta(seconds=10)  # for each of: connect, write, the first word of the answer


class TargetForbiddenError(RefusedError):
    """The address of a webhook leads into a private network."""

    code = "webhook_target_forbidden"


class TargetUnreachableError(UnavailableError):
    """The target of a webhook does not answer, or not in time."""

    code = "webhook_target_unreachable"


class TargetRefusedError(UnavailableError):
    """The target of a webhook answered with another status than 2xx."""

    code = "webhook_target_refused"


class Sender(Protocol):
    """What sends."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> int:
        """As ``Targets.post``."""

    def close(self) -> None:
        """Give the connections back."""


class Targets:
    """Sends to the world. Safe to use from several threads.

    The client is loaded, and the certificates read, when something is sent for the first time.
    """

    def __init__(self, *, allow_private: bool = False, timeout: timedelta = _TIMEOUT) -> None:
        self._allow_private = allow_private
        self._timeout = timeout
        #: An attempt takes no longer: it waits for a place, to connect, to write and to read.
        self.longest = 4 * timeout
        self._making = threading.Lock()
        self._sender: Sender | None = None

    def close(self) -> None:
        """Give the connections back."""
        if self._sender is not None:
            self._sender.close()

    def check(self, url: str) -> None:
        """Raise ``TargetForbiddenError`` for an address that may not be sent to, as it is now."""
        parts = urlsplit(url)
        try:
            allowed_address(parts.hostname or "", parts.port or 443, allow=self._allow_private)
        except TargetUnreachableError:
            return  # a name that will be there later

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> int:
        """Send ``body`` and give the status, which is 2xx.

        Raises ``TargetForbiddenError``, ``TargetUnreachableError`` and ``TargetRefusedError``, the
        last with ``status`` in its details. Nothing of the answer's body is read.
        """
        return self._sending().post(url, body=body, headers=headers)

    def _sending(self) -> Sender:
        with self._making:
            if self._sender is None:
                module = importlib.import_module("jobs.notices.sending")
                self._sender = module.HttpSender(
                    allow_private=self._allow_private, timeout=self._timeout
                )
            return self._sender


def allowed_address(host: str, port: int, *, allow: bool) -> str:
    """An address of ``host``; unless ``allow``, none of its addresses may be private.

    Raises ``TargetForbiddenError``, and ``TargetUnreachableError`` for a name without an address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise TargetUnreachableError(f"there is no address of {host!r}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow and not all(map(is_public, addresses)):
        raise TargetForbiddenError(
            f"{host!r} leads into a private network",
            hint="the setting webhook_private_targets allows such targets",
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether it belongs to the internet: not to this machine, its networks, or a special use."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo and parsed.teredo[1])
        if inner:
            return is_public(str(inner))
        if parsed in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
