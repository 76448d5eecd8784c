"""From bodies of the API to what ``jobs`` is asked, for each kind of job."""

from __future__ import annotations

from dli.api.schemas.batches import BatchBody, FileBody, SizeBody
from dli.api.schemas.pipelines import RunBody
from dli.api.schemas.statements import StatementBody
from dli.api.schemas.tasks import TaskBody
from dli.api.terms import terms_of
from jobs.batches.spec import BatchRequest
from jobs.documents import Submitter
from jobs.errors import RequestInvalidError
from jobs.given import GivenFile
from jobs.lifecycle.spec import Size
from jobs.pipelines.submitting import RunRequest
from jobs.service import StatementRequest
from jobs.tasks.spec import TaskRequest


def statement_request(body: StatementBody, by: Submitter, *, key: str | None) -> StatementRequest:
    """A statement to run, price or explain."""
    return StatementRequest(
        terms=terms_of(body, by, key=key),
        sql=body.sql,
        database=body.database,
        engine=body.engine,
        parameters=body.parameters,
        max_bytes=body.max_bytes,
        result_ttl=body.result.ttl,
        max_rows=body.result.max_rows,
        on_budget=body.on_budget,
    )


def batch_request(body: BatchBody, by: Submitter, *, key: str | None) -> BatchRequest:
    """A Spark program to run or to estimate."""
    return BatchRequest(
        terms=terms_of(body, by, key=key),
        program=_file(body.program),
        name=body.name,
        language=body.language,
        main_class=body.main_class,
        arguments=body.arguments,
        py_files=[_file(each) for each in body.py_files],
        jars=[_file(each) for each in body.jars],
        files=[_file(each) for each in body.files],
        conf=body.conf,
        environment=body.environment,
        database=body.database,
        tables=body.tables,
        size=body.size,
        driver=_size(body.driver),
        executor=_size(body.executor),
        executors=body.executors,
        session=body.session,
        outputs=body.outputs,
    )


def task_request(body: TaskBody, by: Submitter, *, key: str | None) -> TaskRequest:
    """A command to run."""
    return TaskRequest(
        terms=terms_of(body, by, key=key),
        command=body.command,
        name=body.name,
        image=body.image,
        stdin=None if body.stdin is None else _file(body.stdin),
        files=[_file(each) for each in body.files],
        outputs=body.outputs,
        environment=body.environment,
        cores=body.cores,
        memory_bytes=body.memory,
        max_output_bytes=body.max_output,
    )


def run_request(pipeline: str, body: RunBody, by: Submitter, *, key: str | None) -> RunRequest:
    """A run of a pipeline."""
    return RunRequest(
        terms=terms_of(body, by, key=key),
        pipeline=pipeline,
        revision=body.revision,
        parameters=body.parameters,
    )


def _file(body: FileBody) -> GivenFile:
    if body.part is not None:
        raise RequestInvalidError(
            f"part: there is no form with a file {body.part!r}",
            hint="send multipart/form-data, or upload the file and name its sha256",
            field="part",
        )
    return GivenFile(name=body.name, sha256=body.sha256, uri=body.uri)


def _size(body: SizeBody | None) -> Size | None:
    return None if body is None else Size(cores=body.cores, memory_bytes=body.memory)
