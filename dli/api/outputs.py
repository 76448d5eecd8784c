"""What a task or a batch left, as an answer: whole or a part of it, in constant memory."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from dli.api.streams import streamed
from dli.api.wire import InvalidRequestError
from dli.services import Services
from jobs.lifecycle.job import Job
from jobs.outputs import output_of

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
BYTES = "application/octet-stream"
#: What the routes that answer with an output say of it.
OUTPUT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {BYTES: {}}},
    206: {"description": "The part that `Range` asks for."},
    416: {"description": "The range begins after the end."},
}


def output_response(services: Services, job: Job, name: str, wanted: str | None) -> Response:
    """The output ``name`` of an ended job; ``wanted`` is the header ``Range``.

    Raises ``OutputMissingError``, and ``InvalidRequestError`` for a range that is none.
    """
    output = output_of(services.jobs.get(job.project_id, job.id), name)
    told = {
        "Accept-Ranges": "bytes",
        "DLI-Job": job.id,
        "ETag": f'"{output.sha256}"',
    }
    start, end = (0, output.size) if wanted is None else byte_range(wanted, output.size)
    if start >= end and wanted is not None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{output.size}"})
    told["Content-Length"] = str(end - start)
    pieces = services.files.pieces(job.project_id, output.sha256, start=start, end=end)
    response = streamed(pieces, BYTES, told)
    if wanted is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{output.size}"
    return response


def byte_range(text: str, size: int) -> tuple[int, int]:
    """The first byte and the one after the last of one range of ``size`` bytes; maybe empty.

    Raises ``InvalidRequestError``.
    """
    match = _RANGE.fullmatch(text.strip())
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        raise InvalidRequestError(f"Range: {text!r} is not of the form bytes=A-B")
    if not first:
        return max(size - int(last), 0), size
    end = size if not last else min(int(last) + 1, size)
    return int(first), end
