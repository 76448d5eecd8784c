"""A free port for a server that cannot choose one itself."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of the loopback that is free now; whoever is first may take it, so a start can fail.

    The system hands out ports in random order, so that two calls hardly ever give the same.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
