"""Job documents by themselves: their form, without a service behind."""

from __future__ import annotations

from dli.api.documents import Documents
from jobs.documents import Document
from tests.support.jobs import PROJECT


def check_document(document: Document) -> None:
    """Raise for what is wrong in its form; what it names is not looked for."""
    Documents(jobs=None).check(document, PROJECT)  # type: ignore[arg-type]
