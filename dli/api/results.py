"""Results as bytes: which form a client wants, and the bill beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pyarrow as pa
from starlette.responses import Response

from dli.api import streams
from dli.api.wire import InvalidRequestError, NotAcceptableError
from dli.services import Services
from storage.base.ids import JobId, ProjectId
from storage.results.render import render_csv, render_json, render_parquet

Render = Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]]

#: Media type → how a result is written in it; the first is for those who take anything. Chunks are
#: kept as Arrow, so those pass as they are (None), and their bytes are what the checksums are of.
FORMS: Mapping[str, tuple[Render | None, str]] = {
    "application/json": (render_json, "json"),
    "application/vnd.apache.arrow.stream": (None, "arrow"),
    "application/vnd.apache.parquet": (render_parquet, "parquet"),
    "text/csv": (render_csv, "csv"),
}


def result_response(
    services: Services,
    project_id: ProjectId,
    job_id: JobId,
    *,
    accept: str | None,
    chunk: int | None,
) -> Response:
    """The rows of a job, or of one of its chunks, streamed in the best form of ``accept``."""
    media_type = choose_form(accept)
    render, suffix = FORMS[media_type]
    manifest = services.jobs.manifest(project_id, job_id)
    if render is None:
        pieces = services.results.stream(manifest, chunk)
    else:
        pieces = render(manifest.schema, services.results.batches(manifest, chunk))
    name = f"{job_id}{'' if chunk is None else f'-{chunk}'}.{suffix}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept",
        "X-Total-Rows": str(manifest.rows),
    }
    return streams.streamed(pieces, media_type, headers)


def choose_form(accept: str | None) -> str:
    """The served media type that ``accept`` likes best; raises ``NotAcceptableError``."""
    if not accept:
        return next(iter(FORMS))
    wishes: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        wishes.append((_number(weight), name))
    for quality, name in sorted(wishes, key=lambda wish: -wish[0]):
        if quality <= 0:
            continue
        for form in FORMS:
            if name in (form, "*/*") or (
                name.endswith("/*") and form.startswith(name.removesuffix("*"))
            ):
                return form
    raise NotAcceptableError(
        f"results are not served as {accept!r}", hint=f"possible: {', '.join(FORMS)}"
    )


def aware(at: datetime | None) -> datetime | None:
    """``at`` in UTC; a time without a zone is meant in UTC.

    Raises ``InvalidRequestError`` for one that is not in the calendar there.
    """
    if at is None:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequestError(f"{at.isoformat()} is not from the years 1 to 9999") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
