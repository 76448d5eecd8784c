"""Statements, their results and bills, over REST."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

from dli.remote.calls import API, Calls, Json
from dli.remote.statement import Statement, finished
from dli.remote.transport import Answer

if TYPE_CHECKING:
    import pyarrow as pa

#: A JSON scalar, or ``{"type": "date", "value": "2026-01-01"}``; a list for ``?`` markers.
Parameters = Mapping[str, object] | Sequence[object]

#: What ``download`` gives, by name.
MEDIA = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "json": "application/json",
}


class StatementCalls(Calls):
    """Of ``Client``."""

    def submit(
        self,
        sql: str,
        *,
        wait: str = "10s",
        mode: str | None = None,
        idempotency_key: str | None = None,
        **options: object,
    ) -> Statement:
        """Hand a statement in and wait at most ``wait`` for its end, which may come later.

        ``options`` are fields of the request (``database``, ``queue``, ``engine``, ``parameters``,
        ``max_cost``, ``max_bytes``, ``timeout``, ``result``, ``labels``); None means not given.
        """
        body = {name: value for name, value in options.items() if value is not None}
        body |= {"sql": sql, "wait": wait}
        if mode is not None:
            body["mode"] = mode
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        answer = self._ask("POST", "/statements", body=body, headers=key, timeout=90.0)
        return _statement(answer)

    def run(
        self,
        sql: str,
        *,
        on_change: Callable[[Statement], None] | None = None,
        **options: object,
    ) -> Statement:
        """Submit and wait for the end, however long it takes.

        Raises ``StatementFailedError`` unless it finished. An interrupt of the keyboard cancels
        the statement before it is raised again.
        """
        asked = cast(dict[str, Any], options)
        return finished(self.wait(self.submit(sql, **asked), on_change=on_change))

    def query(self, sql: str, **options: object) -> pa.Table:
        """The whole result as an Arrow table, for results that fit into memory."""
        statement = self.run(sql, **cast(dict[str, Any], options))
        # By name and only now: the command line has no use for pyarrow, which is slow to load.
        arrow = importlib.import_module("dli.remote.arrow")
        with self.download(statement.id, "arrow") as pieces:
            return arrow.read_table(pieces)

    def estimate(self, sql: str, **options: object) -> Statement:
        """Price, bytes and rows of a statement that is not run and leaves nothing behind."""
        return self.submit(sql, mode="estimate", **cast(dict[str, Any], options))

    def explain(self, sql: str, **options: object) -> Json:
        """The plan, as the service explains it; nothing is run."""
        asked = cast(dict[str, Any], options)
        return dict(self.submit(sql, mode="explain", **asked).raw)

    def statement(
        self, statement_id: str, *, wait: str | None = None, seen: str | None = None
    ) -> Statement:
        """One statement; with ``wait`` as soon as it differs from ``seen`` (its ``etag``)."""
        answer = self._ask(
            "GET",
            f"/statements/{statement_id}",
            query={"wait": wait},
            headers={"If-None-Match": seen} if seen else None,
            timeout=90.0,
        )
        if answer.status == 304:
            return self.statement(statement_id)
        return _statement(answer)

    def wait(
        self,
        statement: Statement,
        *,
        on_change: Callable[[Statement], None] | None = None,
        poll: str = "30s",
    ) -> Statement:
        """The statement when it has ended. A keyboard interrupt cancels it and goes on up."""
        try:
            while not statement.terminal:
                if on_change:
                    on_change(statement)
                statement = self.statement(statement.id, wait=poll, seen=statement.etag)
        except KeyboardInterrupt:
            self.cancel(statement.id)
            raise
        return statement

    def statements(self, **filters: object) -> Iterator[Json]:
        """Newest first; ``state``, ``queue``, ``label``, ``from``, ``to``; ``limit`` a page."""
        return self._pages("/statements", filters)

    def cancel(self, statement_id: str) -> Statement:
        """Ask it to stop; it is ``cancelled`` only when it has. Twice is as good as once."""
        return _statement(self._ask("POST", f"/statements/{statement_id}/cancel"))

    def download(
        self, statement_id: str, form: str, *, chunk: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The result as bytes of ``MEDIA[form]``, streamed."""
        path = f"{API}/statements/{statement_id}/result"
        return self._transport.stream(path, accept=MEDIA[form], query={"chunk": chunk})

    def delete_result(self, statement_id: str) -> None:
        """Drop the stored rows before they expire; the statement and its bill stay."""
        self._ask("DELETE", f"/statements/{statement_id}/result")

    def bill(self, statement_id: str) -> Json:
        """What a statement costs, with its lines and the prices that made them."""
        return self._json("GET", f"/statements/{statement_id}/bill")

    def usage(self, **query: object) -> Json:
        """Usage and money by ``group_by`` between ``from`` and ``to``."""
        return self._json("GET", "/usage", query=query)


def _statement(answer: Answer) -> Statement:
    return Statement.read(answer.body, etag=answer.headers.get("ETag"))
