"""The HTTP server in a thread of its own: uvicorn on a socket that we bind."""

from __future__ import annotations

import errno
import logging
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from storage.base.errors import ConflictError, InvalidInputError

log = logging.getLogger(__name__)

_GOODBYE = 3  # seconds that requests under way get at the very end


class PortBusyError(ConflictError):
    """Another program listens on the port."""

    code = "port_busy"


class InvalidAddressError(InvalidInputError):
    """The address to listen on is not one of this machine."""

    code = "invalid_address"


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Bound before anything else starts, so that a busy port is told at once. Raises
    ``PortBusyError`` and ``InvalidAddressError``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortBusyError(
                f"port {port} of {host} is taken: {error.strerror}",
                hint="choose another by --port or DLI_PORT; 0 takes a free one",
            ) from error
        raise InvalidAddressError(f"cannot listen on {host}: {error}") from error
    bound.setblocking(False)
    return bound


class HttpServer:
    """Serves an application from ``start`` to ``stop``; ``ended`` is set when it is over."""

    def __init__(self, app: ASGIApp, bound: socket.socket) -> None:
        self._socket = bound
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="on",
                access_log=False,
                proxy_headers=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_GOODBYE,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to serve; requests that came since the bind are answered too."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, let those under way end, and return when it is over."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.ended.set()
