"""A door to a TCP server that tests can shut: all behind it is silent then."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class Gate:
    """Passes bytes to ``target`` from a free port of loopback, until it is shut.

    The first ``cut`` connections are cut off as soon as something is said on them.
    """

    def __init__(self, target: tuple[str, int], *, cut: int = 0) -> None:
        self._target = target
        self._cut = cut
        self._lock = threading.Lock()  # guards both below
        self._open: set[socket.socket] = set()
        self._shut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="gate", daemon=True).start()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shut()

    def shut(self) -> None:
        """Cut all connections and take none; for good."""
        with self._lock:
            self._shut = True
            cut = [self._listener, *self._open]
        for each in cut:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._cut:
                    self._cut -= 1
                    near.recv(1)
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                if not self._kept(near, far):
                    return
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _kept(self, *ends: socket.socket) -> bool:
        with self._lock:
            if not self._shut:
                self._open.update(ends)
                return True
        for each in ends:
            each.close()
        return False

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
