"""Jobs of every kind, batches and tasks among them, over REST; the JSON is that of the API."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from dli.remote.calls import API, Calls, Json, present


class JobCalls(Calls):
    """Of ``Client``."""

    def job_schema(self) -> Json:
        """The JSON Schema of a job document."""
        return self._json("GET", "/schemas/job.json")

    def upload(self, path: Path) -> Json:
        """Keep a file of this machine with the project; its ``sha256`` names it in jobs."""
        return cast(Json, self._transport.upload(f"{API}/files", path).body)

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
        body = present(options)
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
        body = {"command": list(command), **present({"outputs": outputs, **options})}
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
        path = f"{API}/tasks/{job_id}/output"
        query = {"name": name}
        return self._transport.stream(path, accept="application/octet-stream", query=query)

    def batch_output(self, job_id: str, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """A file that an ended batch left, piece by piece."""
        path = f"{API}/batches/{job_id}/output"
        query = {"name": name}
        return self._transport.stream(path, accept="application/octet-stream", query=query)

    def upload_stream(self, source: BinaryIO) -> Json:
        """Keep what ``source`` gives until its end; its ``sha256`` names it in jobs."""
        return cast(Json, self._transport.upload_stream(f"{API}/files", source).body)

    def _file(self, given: Path | str) -> Json:
        return {"uri": given} if isinstance(given, str) else self._uploaded(given)

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
        path = f"{API}/jobs/{job_id}/logs"
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
