"""Pipelines, their runs and backfills, over REST; the JSON is that of the API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from dli.remote.calls import API, Calls, Json, present


class PipelineCalls(Calls):
    """``Client.pipelines``. Calls that start something carry an idempotency key.

    A ``Path`` in a text is a file of this machine, which is uploaded.
    """

    def every(self) -> list[Json]:
        """All that are in force, by name."""
        return [*self._pages("/pipelines")]

    def apply(self, name: str, text: Json) -> Json:
        """Put a text in force; ``new`` tells whether that made a revision."""
        return self._json("PUT", f"/pipelines/{name}", body=self._with_files(text))

    def get(self, name: str, *, revision: int | None = None) -> Json:
        """A revision with its text and graph, the one in force by default."""
        return self._json("GET", f"/pipelines/{name}", query={"revision": revision})

    def delete(self, name: str) -> None:
        """Take it out of force; revisions and runs stay."""
        self._transport.ask("DELETE", f"{API}/pipelines/{name}")

    def revisions(self, name: str) -> list[Json]:
        """All, newest first."""
        return [*self._pages(f"/pipelines/{name}/revisions")]

    def diff(self, name: str, *, before: int | None = None, after: int | None = None) -> Json:
        """What changed between two revisions, the last two by default."""
        query = {"before": before, "after": after}
        return self._json("GET", f"/pipelines/{name}/diff", query=query)

    def diff_text(self, name: str, text: Json, *, revision: int | None = None) -> Json:
        """What a text would change."""
        body = present({"pipeline": self._with_files(text), "revision": revision})
        return self._json("POST", f"/pipelines/{name}/diff", body=body)

    def plan(self, name: str, **fields: object) -> Json:
        """Order, reasons and prices of a run: ``parameters``, ``revision``, ``pipeline``."""
        return self._json("POST", f"/pipelines/{name}/plan", body=self._with_files(present(fields)))

    def roll_back(self, name: str, revision: int) -> Json:
        """A new revision that equals an old one."""
        return self._start(f"/pipelines/{name}/rollback", {"revision": revision})

    def run(self, name: str, **fields: object) -> Json:
        """Start a run: ``parameters``, ``revision``, ``max_cost``, ``timeout``, ``labels``, …."""
        return self._start(f"/pipelines/{name}/runs", fields)

    def runs(self, name: str, *, limit: int = 100) -> Iterator[Json]:
        """Newest first; ``limit`` a page."""
        return self._pages(f"/pipelines/{name}/runs", {"limit": limit})

    def run_status(self, run_id: str) -> Json:
        """A run with its nodes."""
        return self._json("GET", f"/runs/{run_id}")

    def resume(self, run_id: str, **fields: object) -> Json:
        """A new run that takes over what succeeded in an ended one."""
        return self._start(f"/runs/{run_id}/resume", fields)

    def start_backfill(self, name: str, **fields: object) -> Json:
        """A run a day: ``from``, ``to``, ``parallel``, ``max_cost``, ``parameters``."""
        return self._start(f"/pipelines/{name}/backfills", fields)

    def backfills(self, name: str) -> list[Json]:
        """All of a pipeline, newest first, without their days."""
        return [*self._pages(f"/pipelines/{name}/backfills")]

    def backfill(self, backfill_id: str) -> Json:
        """One with its days."""
        return self._json("GET", f"/backfills/{backfill_id}")

    def cancel_backfill(self, backfill_id: str) -> Json:
        """Start no more days and cancel the runs that go on."""
        return self._start(f"/backfills/{backfill_id}/cancel", None)

    def resume_backfill(self, backfill_id: str, **fields: object) -> Json:
        """Go on with the days that did not succeed; ``max_cost`` is a new cap."""
        return self._start(f"/backfills/{backfill_id}/resume", fields)

    def schema(self) -> Json:
        """The JSON Schema of a pipeline file."""
        return self._json("GET", "/schemas/pipeline.json")

    def _start(self, path: str, fields: Mapping[str, object] | None) -> Json:
        body = None if fields is None else present(fields)
        return self._json("POST", path, body=body, headers={"Idempotency-Key": uuid.uuid4().hex})
