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

import importlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from dli.remote.access import resolve
from dli.remote.history import HistoryCalls
from dli.remote.pipelines import PipelineCalls
from dli.remote.problems import Problem, StatementFailedError
from dli.remote.statement import Statement
from dli.remote.transport import Answer, Transport

if TYPE_CHECKING:
    import pyarrow as pa

Json = dict[str, Any]
#: A JSON scalar, or ``{"type": "date", "value": "2026-01-01"}``; a list for ``?`` markers.
Parameters = Mapping[str, object] | Sequence[object]

_API = "/api/v1"
#: What ``download`` gives, by name.
MEDIA = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "json": "application/json",
}


def connect(
    url: str | None = None, token: str | None = None, *, project: str | None = None
) -> Client:
    """A client for the service that arguments, environment, config file or home name."""
    access = resolve(os.environ, url=url, token=token, project=project)
    return Client(access.url, access.token, project=access.project)


class Client:
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
        self._transport = Transport(url, token, project=project, timeout=timeout, patient=patient)
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

    # statements

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
        path = f"{_API}/statements/{statement_id}/result"
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

    # batches

    def upload(self, path: Path) -> Json:
        """Keep a file of this machine with the project; its ``sha256`` names it in jobs."""
        return cast(Json, self._transport.upload(f"{_API}/files", path).body)

    def submit_batch(
        self,
        program: Path | str,
        *,
        py_files: Sequence[Path | str] = (),
        jars: Sequence[Path | str] = (),
        files: Sequence[Path | str] = (),
        idempotency_key: str | None = None,
        **options: object,
    ) -> Json:
        """Hand a Spark program in; the job as it is then.

        A ``Path`` is a file of this machine, which is uploaded; a text is the address of an object.
        ``options`` are fields of the request; None means not given.
        """
        body = _set(options)
        body["program"] = self._file(program)
        for field, given in (("py_files", py_files), ("jars", jars), ("files", files)):
            if given:
                body[field] = [self._file(each) for each in given]
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return self._json("POST", "/batches", body=body, headers=key, timeout=90.0)

    def submit_task(
        self,
        command: Sequence[str],
        *,
        stdin: Path | str | BinaryIO | None = None,
        files: Sequence[Path | str] = (),
        outputs: Sequence[str] | None = None,
        idempotency_key: str | None = None,
        **options: object,
    ) -> Json:
        """Run a command; a ``Path`` is uploaded, a text is the address of an object.

        ``stdin`` may be an open file or pipe, which is read to its end first. ``options``:
        ``name``, ``image``, ``environment``, ``cores``, ``memory``, ``max_output``, ``queue``,
        ``timeout``, ``labels``, ``retry``, ``wait``, ….
        """
        body = {"command": list(command), **_set({"outputs": outputs, **options})}
        if isinstance(stdin, Path | str):
            body["stdin"] = self._file(stdin)
        elif stdin is not None:
            body["stdin"] = {"sha256": self.upload_stream(stdin)["sha256"]}
        if files:
            body["files"] = [self._file(each) for each in files]
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return self._json("POST", "/tasks", body=body, headers=key, timeout=90.0)

    def task_output(
        self, job_id: str, name: str = "stdout"
    ) -> AbstractContextManager[Iterator[bytes]]:
        """What an ended task wrote, or a file that it left, piece by piece."""
        path = f"{_API}/tasks/{job_id}/output"
        query = {"name": name}
        return self._transport.stream(path, accept="application/octet-stream", query=query)

    def batch_output(self, job_id: str, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """A file that an ended batch left, piece by piece."""
        path = f"{_API}/batches/{job_id}/output"
        query = {"name": name}
        return self._transport.stream(path, accept="application/octet-stream", query=query)

    def upload_stream(self, source: BinaryIO) -> Json:
        """Keep what ``source`` gives until its end; its ``sha256`` names it in jobs."""
        return cast(Json, self._transport.upload_stream(f"{_API}/files", source).body)

    def _file(self, given: Path | str) -> Json:
        if isinstance(given, str):
            return {"uri": given}
        return {"name": given.name, "sha256": self.upload(given)["sha256"]}

    # jobs of every kind

    def jobs(self, **filters: object) -> Iterator[Json]:
        """Newest first; ``kind``, ``state``, ``queue``, ``parent``, ``label``, ``from``, ``to``."""
        return self._pages("/jobs", filters)

    def job(self, job_id: str, *, wait: str | None = None, seen: str | None = None) -> Json:
        """One job; with ``wait`` as soon as it differs from ``seen`` (its ``etag``)."""
        answer = self._ask(
            "GET",
            f"/jobs/{job_id}",
            query={"wait": wait},
            headers={"If-None-Match": seen} if seen else None,
            timeout=90.0,
        )
        if answer.status == 304:
            return self.job(job_id)
        return {**cast(Json, answer.body), "etag": answer.headers.get("ETag")}

    def wait_job(
        self, job: Json, *, on_change: Callable[[Json], None] | None = None, poll: str = "30s"
    ) -> Json:
        """The job when it has ended. A keyboard interrupt cancels it and goes on up."""
        try:
            while not job["terminal"]:
                if on_change:
                    on_change(job)
                job = self.job(job["id"], wait=poll, seen=job.get("etag"))
        except KeyboardInterrupt:
            self.cancel_job(job["id"])
            raise
        return job

    def cancel_job(self, job_id: str) -> Json:
        """Ask it to stop; it is ``cancelled`` only when it has. Twice is as good as once."""
        return self._json("POST", f"/jobs/{job_id}/cancel")

    def renew_job(self, job_id: str) -> Json:
        """Keep a job that has a lease."""
        return self._json("POST", f"/jobs/{job_id}/renew")

    def explain_job(self, job_id: str) -> Json:
        """Its story in sentences."""
        return self._json("GET", f"/jobs/{job_id}/explain")

    def log(
        self,
        job_id: str,
        *,
        stream: str = "stdout",
        attempt: int | None = None,
        follow: bool = False,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """What a batch or a task wrote; with ``follow`` as it comes, until the job ends."""
        query = {"stream": stream, "attempt": attempt, "follow": True if follow else None}
        path = f"{_API}/jobs/{job_id}/logs"
        if follow:
            return self._transport.stream(path, accept="text/plain", query=query, live=True)
        return nullcontext(self._log_parts(path, query))

    def _log_parts(self, path: str, query: Mapping[str, object]) -> Iterator[bytes]:
        offset = 0
        while True:
            asked = {**query, "offset": offset}
            part, headers = self._transport.read(path, accept="text/plain", query=asked)
            if not part:
                return
            yield part
            offset = int(headers["DLI-Log-End"])

    # catalog

    def databases(self) -> list[Json]:
        return list(self._pages("/databases", {}))

    def create_database(self, name: str, **fields: object) -> Json:
        return self._create("/databases", {"name": name, **_set(fields)})

    def drop_database(self, name: str, *, cascade: bool = False) -> None:
        self._ask("DELETE", f"/databases/{name}", query={"cascade": cascade})

    def tables(self, database: str) -> list[Json]:
        return list(self._pages(f"/databases/{database}/tables", {}))

    def register_table(self, name: str, location: str, **fields: object) -> Json:
        """Make files that lie somewhere a table ``database.table``; they stay where they are.

        ``fields``: ``format``, ``options``, ``partitioned_by``, ``columns``, ``comment``.
        """
        database, table = split_name(name)
        body = {"name": table, "location": location, **_set(fields)}
        return self._create(f"/databases/{database}/tables", body)

    def table(self, name: str) -> Json:
        """Schema, files, snapshots and statistics of ``database.table``."""
        return self._json("GET", _table_path(name))

    def refresh_table(self, name: str) -> Json:
        """Look at the files of an external table again, now."""
        return self._json("POST", f"{_table_path(name)}/refresh")

    def drop_table(self, name: str) -> None:
        """Forget a table; the files of an external one stay."""
        self._ask("DELETE", _table_path(name))

    # what happens by itself

    def schedules(self) -> list[Json]:
        return list(self._pages("/schedules", {}))

    def create_schedule(self, name: str, *, job: Json, **fields: object) -> Json:
        """Submit ``job`` (a job document) at its times: ``cron`` and ``timezone``, ``every`` or
        ``at``. ``fields`` are those of the API: ``missed``, ``overlap``, ``jitter``, …."""
        return self._create("/schedules", {"name": name, "job": job, **_set(fields)})

    def schedule(self, name: str) -> Json:
        return self._json("GET", f"/schedules/{name}")

    def update_schedule(self, name: str, **fields: object) -> Json:
        return self._json("PATCH", f"/schedules/{name}", body=_set(fields))

    def pause_schedule(self, name: str) -> Json:
        return self._again(f"/schedules/{name}/pause")

    def resume_schedule(self, name: str) -> Json:
        return self._again(f"/schedules/{name}/resume")

    def run_schedule(self, name: str) -> Json:
        """Submit its job now; the firing."""
        return self._again(f"/schedules/{name}/run")

    def next_times(self, name: str, count: int = 10) -> list[Json]:
        """The due times to come."""
        query = {"count": count}
        return cast(list[Json], self._json("GET", f"/schedules/{name}/next", query=query)["items"])

    def schedule_firings(self, name: str, most: int = 100) -> list[Json]:
        """What became of its due times, newest first."""
        return self._first(f"/schedules/{name}/firings", most)

    def delete_schedule(self, name: str) -> None:
        self._ask("DELETE", f"/schedules/{name}")

    def triggers(self) -> list[Json]:
        return list(self._pages("/triggers", {}))

    def create_trigger(self, name: str, *, on: Json, job: Json) -> Json:
        """Submit ``job`` when ``on`` happens. The secret of a webhook is in this answer only.

        Asked once only: a repeat would give the trigger without its secret.
        """
        return self._json("POST", "/triggers", body={"name": name, "on": on, "job": job})

    def trigger(self, name: str) -> Json:
        return self._json("GET", f"/triggers/{name}")

    def pause_trigger(self, name: str) -> Json:
        return self._again(f"/triggers/{name}/pause")

    def resume_trigger(self, name: str) -> Json:
        return self._again(f"/triggers/{name}/resume")

    def trigger_firings(self, name: str, most: int = 100) -> list[Json]:
        """What it fired, newest first."""
        return self._first(f"/triggers/{name}/firings", most)

    def delete_trigger(self, name: str) -> None:
        self._ask("DELETE", f"/triggers/{name}")

    def webhooks(self) -> list[Json]:
        return list(self._pages("/webhooks", {}))

    def create_webhook(self, name: str, url: str, **fields: object) -> Json:
        """Be told at ``url`` of jobs that end. The secret is in this answer only; asked once."""
        return self._json("POST", "/webhooks", body={"name": name, "url": url, **_set(fields)})

    def deliveries(self, name: str, most: int = 100) -> list[Json]:
        """What was sent to a webhook or is to be, newest first."""
        return self._first(f"/webhooks/{name}/deliveries", most)

    def test_webhook(self, name: str) -> Json:
        """Send a notification of the event ``test``."""
        return self._again(f"/webhooks/{name}/test")

    def delete_webhook(self, name: str) -> None:
        self._ask("DELETE", f"/webhooks/{name}")

    # administration

    def queues(self) -> list[Json]:
        return list(self._pages("/queues", {}))

    def queue(self, name: str) -> Json:
        """One queue, and what it does now under ``load``."""
        return self._json("GET", f"/queues/{name}")

    def create_queue(self, name: str, **fields: object) -> Json:
        return self._create("/queues", {"name": name, **_set(fields)})

    def update_queue(self, name: str, **fields: object) -> Json:
        return self._json("PATCH", f"/queues/{name}", body=_set(fields))

    def delete_queue(self, name: str) -> None:
        self._ask("DELETE", f"/queues/{name}")

    def canary(self, queue: str) -> Json:
        """The queue's canary, with its ``figures`` and the statements that are ``worst``."""
        return self._json("GET", f"/queues/{queue}/canary")

    def canaries(self, queue: str) -> list[Json]:
        """All that the queue had, the newest first."""
        return list(self._pages(f"/queues/{queue}/canaries", {}))

    def start_canary(self, queue: str, *, image: str, **fields: object) -> Json:
        """``fields``: ``percent``, ``shadow``, and ``max_errors``, where None means: no bound."""
        return self._json("POST", f"/queues/{queue}/canary", body={"image": image, **fields})

    def change_canary(self, queue: str, **fields: object) -> Json:
        """As ``start_canary``; what is not named stays."""
        return self._json("PATCH", f"/queues/{queue}/canary", body=fields)

    def promote_canary(self, queue: str) -> Json:
        """Make its image the queue's own."""
        return self._json("POST", f"/queues/{queue}/canary/promote")

    def roll_back_canary(self, queue: str) -> Json:
        return self._json("POST", f"/queues/{queue}/canary/rollback")

    def clusters(self) -> list[Json]:
        """Where runs are started; for administrators of the service."""
        return list(self._pages("/clusters", {}))

    def cluster(self, name: str) -> Json:
        return self._json("GET", f"/clusters/{name}")

    def drain_cluster(self, name: str) -> Json:
        """Start nothing new there; what runs goes on."""
        return self._json("PATCH", f"/clusters/{name}", body={"drained": True})

    def undrain_cluster(self, name: str) -> Json:
        return self._json("PATCH", f"/clusters/{name}", body={"drained": False})

    def tokens(self) -> list[Json]:
        return list(self._pages("/tokens", {}))

    def create_token(self, **fields: object) -> Json:
        """A new token; its text is in this answer and nowhere else, ever again.

        Asked once only: a repeat would give the token without its text.
        """
        return self._json("POST", "/tokens", body=_set(fields))

    def revoke_token(self, token_id: str) -> None:
        self._ask("DELETE", f"/tokens/{token_id}")

    def projects(self) -> list[Json]:
        return list(self._pages("/projects", {}))

    def create_project(self, name: str, **fields: object) -> Json:
        return self._create("/projects", {"name": name, **_set(fields)})

    def budget(self) -> Json:
        """Cap of the month, what is spent and what is set aside for running statements."""
        return self._json("GET", "/budget")

    def set_budget(self, amount: str | None, *, month: str = "every") -> Json:
        """Set the cap of a month (``2026-11``), or of each that has none; None lifts it."""
        return self._json("PUT", "/budget", body={"amount": amount, "month": month})

    def prices(self) -> Json:
        return self._json("GET", "/prices")

    def health(self) -> Json:
        """Whether the service is ready, part by part; needs no token."""
        return cast(Json, self._transport.ask("GET", "/readyz").body)

    def members(self, project: str) -> list[Json]:
        """Who has which role in a project."""
        return list(self._pages(f"/projects/{project}/members", {}, headers=_in(project)))

    def set_member(self, project: str, user: str, role: str) -> Json:
        """Give a user a role in a project; a name that is new makes a new user."""
        path = f"/projects/{project}/members/{user}"
        return self._json("PUT", path, body={"role": role}, headers=_in(project))

    def remove_member(self, project: str, user: str) -> None:
        """Take a user's role away; their tokens open the project no longer."""
        self._ask("DELETE", f"/projects/{project}/members/{user}", headers=_in(project))

    def credentials(self, project: str) -> Json:
        """The names of the project's credentials for the object store."""
        return self._json("GET", f"/projects/{project}/credentials", headers=_in(project))

    def set_credentials(
        self, project: str, *, secret: Json | None = None, service_account: str | None = None
    ) -> Json:
        """Name them: ``secret`` has ``name`` and, where they are others, the names of its keys."""
        body = {"secret": secret, "service_account": service_account}
        path = f"/projects/{project}/credentials"
        return self._json("PUT", path, body=body, headers=_in(project))

    def remove_credentials(self, project: str) -> None:
        """The project has none of its own any more."""
        self._ask("DELETE", f"/projects/{project}/credentials", headers=_in(project))

    def _ask(self, method: str, path: str, **how: Any) -> Answer:
        return self._transport.ask(method, f"{_API}{path}", **how)

    def _create(self, path: str, body: Json) -> Json:
        """A POST that may be repeated when its answer is lost: nothing is made twice."""
        return self._json("POST", path, body=body, headers={"Idempotency-Key": uuid.uuid4().hex})

    def _again(self, path: str) -> Json:
        """A POST without a body that may be repeated when its answer is lost."""
        return self._json("POST", path, headers={"Idempotency-Key": uuid.uuid4().hex})

    def _first(self, path: str, most: int) -> list[Json]:
        """The first ``most`` items of a list."""
        return list(islice(self._pages(path, {"limit": min(most, 1000)}), most))

    def _json(self, method: str, path: str, **how: Any) -> Json:
        return cast(Json, self._ask(method, path, **how).body or {})

    def _pages(self, path: str, query: Mapping[str, object], **how: Any) -> Iterator[Json]:
        """All items of a list, page after page by its cursor."""
        cursor: str | None = None
        while True:
            page = self._json("GET", path, query={**query, "cursor": cursor}, **how)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return


def finished(statement: Statement) -> Statement:
    """The statement if it finished; raises ``StatementFailedError`` if it ended otherwise."""
    if statement.state == "finished":
        return statement
    problem = statement.error or Problem(
        code=f"statement_{statement.state}", message=f"the statement is {statement.state}"
    )
    raise StatementFailedError(problem, statement_id=statement.id, state=statement.state)


def split_name(name: str) -> tuple[str, str]:
    """Database and table of ``sales.orders``; a bare name is in ``default``."""
    database, dot, table = name.rpartition(".")
    return (database, table) if dot else ("default", name)


def _table_path(name: str) -> str:
    database, table = split_name(name)
    return f"/databases/{database}/tables/{table}"


def _in(project: str) -> dict[str, str]:
    return {"DLI-Project": project}


def _set(fields: Mapping[str, object]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _statement(answer: Answer) -> Statement:
    return Statement.read(answer.body, etag=answer.headers.get("ETag"))
