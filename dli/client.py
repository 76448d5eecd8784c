"""The service for Python programs and notebooks: a thin, typed, blocking client of its REST API.

    from dli.client import connect

    with connect() as dli:
        dli.create_database("sales")
        dli.register_table("sales.orders", "/data/orders/")
        table = dli.query("SELECT status, count(*) AS n FROM sales.orders GROUP BY status")

Statements are values with types (``Statement``); the other nouns are the JSON that the API gives.
Every submit carries an idempotency key, so that an answer lost on the way starts nothing twice.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from dli.remote.access import resolve
from dli.remote.administration import AdministrationCalls
from dli.remote.automation import AutomationCalls
from dli.remote.catalog import CatalogCalls
from dli.remote.history import HistoryCalls
from dli.remote.jobs import JobCalls
from dli.remote.pipelines import PipelineCalls
from dli.remote.queues import QueueCalls
from dli.remote.statement import finished
from dli.remote.statements import MEDIA, StatementCalls
from dli.remote.transport import Transport

__all__ = ["MEDIA", "Client", "connect", "finished"]


def connect(
    url: str | None = None, token: str | None = None, *, project: str | None = None
) -> Client:
    """A client for the service that arguments, environment, config file or home name."""
    access = resolve(os.environ, url=url, token=token, project=project)
    return Client(access.url, access.token, project=access.project)


class Client(
    StatementCalls, JobCalls, CatalogCalls, AutomationCalls, QueueCalls, AdministrationCalls
):
    """Every call raises ``ApiError`` for a refusal and ``UnreachableError`` for silence."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        project: str | None = None,
        timeout: float = 30.0,
        patient: bool = True,
    ) -> None:
        super().__init__(Transport(url, token, project=project, timeout=timeout, patient=patient))
        self.pipelines = PipelineCalls(self._transport)
        self.history = HistoryCalls(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return self._transport.url

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()
