"""From bodies of the API to what ``jobs`` is asked, for each kind of job."""

from __future__ import annotations

from dli.api.schemas.statements import StatementBody
from dli.api.terms import terms_of
from jobs.documents import Submitter
from jobs.service import StatementRequest


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
    )
