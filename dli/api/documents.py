"""Job documents: bodies of the API with a ``kind``, as files, schedules and pipelines have them.

The JSON Schema of a document is made of the same models that check it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from dli.api.complaints import complaints, summed_up
from dli.api.requests import batch_request, run_request, statement_request, task_request
from dli.api.schemas.batches import BatchBody, FileBody
from dli.api.schemas.pipelines import PipelineRunBody
from dli.api.schemas.statements import StatementBody
from dli.api.schemas.tasks import TaskBody
from dli.api.schemas.terms import TermsBody
from dli.api.terms import terms_of
from jobs.accepting import check_terms
from jobs.batches.spec import ANY_CONF, check_form
from jobs.batches.submitting import Batches
from jobs.documents import Asked, Document, Submitter
from jobs.errors import RequestInvalidError
from jobs.files import FileInvalidError, FileMissingError, Files
from jobs.given import GivenFile, file_ref
from jobs.lifecycle.spec import JobKind
from jobs.pipelines.submitting import RunSubmitting, check_run_terms
from jobs.service import JobService, JobView, StatementRequest
from jobs.tasks.spec import check_form as check_task_form
from jobs.tasks.submitting import Tasks
from jobs.usage import Quote
from sql.touched import check_text
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, UserId

#: What only makes sense for one who waits for the answer.
_NOT_HELD = frozenset({"wait", "mode"})

B = TypeVar("B", bound=TermsBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one kind of document is read and handed in."""

    body: type[TermsBody]
    submit: Callable[[Documents, Any, Submitter, str], JobView]
    estimate: Callable[[Documents, Any, Submitter], Quote | None]
    check: Callable[[Any], None]  #: beyond the form of the body; no I/O


def _check_statement(body: StatementBody) -> None:
    check_terms(terms_of(body, _NOBODY, key=None))
    try:
        check_text(body.sql, body.parameters)
    except ServiceError as error:
        told = {name: error.details.get(name) for name in ("line", "column")}
        where = f" (line {told['line']}, column {told['column']})" if told["line"] else ""
        raise RequestInvalidError(
            f"sql: {error.message}{where}", hint=error.hint, field="sql"
        ) from error


def _submit_statement(doors: Documents, body: StatementBody, by: Submitter, key: str) -> JobView:
    return doors.jobs.submit(statement_request(body, by, key=key))


def _estimate_statement(doors: Documents, body: StatementBody, by: Submitter) -> Quote | None:
    return doors.jobs.estimate(statement_request(body, by, key=None)).quote


def _submit_batch(doors: Documents, body: BatchBody, by: Submitter, key: str) -> JobView:
    assert doors.batches is not None
    return doors.batches.submit(batch_request(body, by, key=key))


def _estimate_batch(doors: Documents, body: BatchBody, by: Submitter) -> Quote | None:
    assert doors.batches is not None
    doors.batches.estimate(batch_request(body, by, key=None))  # raises as the submit would
    return doors.jobs.quote_of_nothing()


def _check_batch(body: BatchBody) -> None:
    request = batch_request(body, _NOBODY, key=None)
    check_terms(request.terms)
    check_form(request, ANY_CONF)


def _submit_task(doors: Documents, body: TaskBody, by: Submitter, key: str) -> JobView:
    assert doors.tasks is not None
    return doors.tasks.submit(task_request(body, by, key=key))


def _estimate_task(doors: Documents, body: TaskBody, by: Submitter) -> Quote | None:
    assert doors.tasks is not None
    doors.tasks.check(task_request(body, by, key=None))  # raises as the submit would
    return doors.jobs.quote_of_nothing()


def _check_task(body: TaskBody) -> None:
    request = task_request(body, _NOBODY, key=None)
    check_terms(request.terms)
    check_task_form(request)


def _submit_run(doors: Documents, body: PipelineRunBody, by: Submitter, key: str) -> JobView:
    assert doors.runs is not None
    return doors.runs.submit(run_request(body.pipeline, body, by, key=key))


def _estimate_run(doors: Documents, body: PipelineRunBody, by: Submitter) -> Quote | None:
    assert doors.runs is not None
    doors.runs.check(run_request(body.pipeline, body, by, key=None))  # raises as the submit would
    return None


def _check_run(body: PipelineRunBody) -> None:
    check_run_terms(terms_of(body, _NOBODY, key=None))


_NOBODY = Submitter(project_id=ProjectId(""), user_id=UserId(""), may_write=True)

KINDS: Mapping[JobKind, Kind] = {
    JobKind.STATEMENT: Kind(
        body=StatementBody,
        submit=_submit_statement,
        estimate=_estimate_statement,
        check=_check_statement,
    ),
    JobKind.BATCH: Kind(
        body=BatchBody, submit=_submit_batch, estimate=_estimate_batch, check=_check_batch
    ),
    JobKind.TASK: Kind(
        body=TaskBody, submit=_submit_task, estimate=_estimate_task, check=_check_task
    ),
    JobKind.PIPELINE: Kind(
        body=PipelineRunBody, submit=_submit_run, estimate=_estimate_run, check=_check_run
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """``JobDocuments`` over the bodies of the API, with a door for each kind."""

    jobs: JobService
    batches: Batches | None = None  #: None: nobody can submit any here
    tasks: Tasks | None = None  #: likewise
    runs: RunSubmitting | None = None  #: of pipelines; likewise
    files: Files | None = None  #: None: what documents name is not looked for

    def check(self, document: Document, project_id: ProjectId) -> None:
        kind, body = _read(document)
        kind.check(body)
        if self.files is None:
            return
        for field, file in _uploaded(body):
            # What a task reads needs no name; all others lie in its folder.
            name = file.name or ("stdin" if field == "stdin" else None)
            given = GivenFile(name=name, sha256=file.sha256)
            try:
                file_ref(self.files, project_id, given, field)
            except (FileInvalidError, FileMissingError) as error:
                message = f"{field}: {error.message}"
                raise RequestInvalidError(message, hint=error.hint, field=field) from error

    def submit(self, document: Document, *, by: Submitter, key: str) -> JobView:
        kind, body = _read(document)
        return kind.submit(self, body, by, key)

    def submit_all(self, asked: Sequence[Asked]) -> Sequence[JobView | None]:
        """Statements by the transaction; other kinds are submitted alone."""
        requests = {
            index: request
            for index, each in enumerate(asked)
            if (request := _statement(each)) is not None
        }
        views: list[JobView | None] = [None] * len(asked)
        kept = self.jobs.submit_all(tuple(requests.values()))
        for index, view in zip(requests, kept, strict=True):
            views[index] = view
        return views

    def estimate(self, document: Document, *, by: Submitter) -> Quote | None:
        kind, body = _read(document)
        return kind.estimate(self, body, by)


def _statement(asked: Asked) -> StatementRequest | None:
    """None for another kind, and for a document that cannot be read (any more)."""
    try:
        _, body = _read(asked.document)
    except RequestInvalidError:
        return None
    return (
        statement_request(body, asked.by, key=asked.key)
        if isinstance(body, StatementBody)
        else None
    )


def document_schema() -> dict[str, Any]:
    """The JSON Schema of a job document."""
    found: dict[str, Any] = {}
    options = []
    for name, kind in KINDS.items():
        schema = kind.body.model_json_schema(ref_template="#/$defs/{model}")
        found |= schema.pop("$defs", {})
        for left_out in _NOT_HELD:
            schema["properties"].pop(left_out, None)
        schema["properties"] = {"kind": {"const": name.value}, **schema["properties"]}
        schema["required"] = ["kind", *schema.get("required", ())]
        found[kind.body.__name__] = schema
        options.append({"$ref": f"#/$defs/{kind.body.__name__}"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Job",
        "description": "A job of any kind, as files, schedules and pipelines hold it.",
        "oneOf": options,
        "$defs": found,
    }


def _uploaded(body: TermsBody) -> Iterator[tuple[str, FileBody]]:
    """The uploaded files that a body names, each with its field."""
    for name in type(body).model_fields:
        match getattr(body, name):
            case FileBody(sha256=str()) as file:
                yield name, file
            case list() as several:
                for index, each in enumerate(several):
                    if isinstance(each, FileBody) and each.sha256 is not None:
                        yield f"{name}.{index}", each


def _read(document: Document) -> tuple[Kind, TermsBody]:
    """The body of a document. Raises ``RequestInvalidError`` that names the field."""
    given = dict(document)
    name = given.pop("kind", None)
    known = [kind.value for kind in KINDS]
    if name not in known:
        raise RequestInvalidError(
            f"kind: {name!r} is no kind of job" if name else "kind: is missing",
            hint=f"one of {', '.join(known)}",
            field="kind",
        )
    for field in _NOT_HELD & given.keys():
        raise RequestInvalidError(
            f"{field}: has no meaning in a job that nobody waits for",
            hint="leave it out",
            field=field,
        )
    kind = KINDS[JobKind(name)]
    try:
        return kind, kind.body.model_validate(given)
    except ValidationError as error:
        told = complaints(error.errors(include_url=False), kind.body)
        message, hint = summed_up(told)
        raise RequestInvalidError(message, hint=hint, errors=told) from error
