"""Whether a document can be held by a schedule or a trigger."""

from __future__ import annotations

from jobs.documents import Document, JobDocuments
from jobs.errors import RequestInvalidError
from jobs.firings.references import Names, check_references, resolve, samples
from storage.base.ids import ProjectId


def check_held(
    documents: JobDocuments, project_id: ProjectId, document: Document, names: Names
) -> None:
    """Raise for a wrong reference, for what the job's own check refuses, and for a lease."""
    if document.get("lease") is not None:
        raise RequestInvalidError(
            "lease: a job that submits itself has no client to renew it",
            hint="give it a timeout instead",
            field="lease",
        )
    check_references(document, names)
    documents.check(resolve(document, samples(names), names=names), project_id)
