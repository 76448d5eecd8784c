"""The client of engines, loaded when the first engine is there or somebody has time for it.

gRPC and the messages of the protocol take a twentieth of a start, in which no engine answers yet.
"""

from __future__ import annotations

import importlib
from typing import Final

from jobs.engines.api import EngineClient
from jobs.engines.connect.dialect import Dialect

CLIENT: Final = "jobs.engines.connect.client"  #: the name of the module


def connect(address: str, dialect: Dialect, token: str | None = None) -> EngineClient:
    """A client of the server at ``address``, which may ask for a token; nothing is sent yet."""
    client: EngineClient = importlib.import_module(CLIENT).ConnectClient(address, dialect, token)
    return client
