"""How a client comes to its server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from jobs.engines.connect.client import ConnectClient
from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.protos import base

DIALECT = Dialect(name="sail", address=str, quoted_views=False, partition_folders=False)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server that answers questions after its configuration."""
    config = grpc.unary_unary_rpc_method_handler(
        lambda request, context: base.ConfigResponse(session_id=request.session_id),
        request_deserializer=base.ConfigRequest.FromString,
        response_serializer=base.ConfigResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(1))
    service = "spark.connect.SparkConnectService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Config": config}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_engines_are_reached_through_no_proxy(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the environment leads out of the network, and engines are in it."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, NOBODY)
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = ConnectClient(address, DIALECT)
    try:
        assert client.alive(10.0)
    finally:
        client.close()
