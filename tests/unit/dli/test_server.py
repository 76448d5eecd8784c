"""A busy port and a foreign address are told before anything else happens."""

from __future__ import annotations

import pytest

from dli.server import InvalidAddressError, PortBusyError, listening_socket


def test_a_busy_port_is_told() -> None:
    first = listening_socket("127.0.0.1", 0)
    try:
        port = first.getsockname()[1]
        with pytest.raises(PortBusyError, match=f"port {port}") as caught:
            listening_socket("127.0.0.1", port)
        assert "--port" in (caught.value.hint or "")
    finally:
        first.close()


@pytest.mark.parametrize("host", ["203.0.113.7", "not a host"])
def test_a_foreign_address_is_told(host: str) -> None:
    with pytest.raises(InvalidAddressError, match=host):
        listening_socket(host, 0)
