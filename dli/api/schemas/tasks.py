"""Requests about tasks."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from dli.api.schemas.batches import File
from dli.api.schemas.fields import Size, Span, span_field
from dli.api.schemas.terms import TermsBody


class TaskBody(TermsBody):
    """A command to run: bytes in, bytes out."""

    command: list[str] = Field(
        min_length=1,
        description="A program that the operator allows, or of the image, and its arguments.",
    )
    name: str | None = Field(None, description="For people; else the program's name.")
    image: str | None = Field(
        None, description="One that the operator allows; needs the kubernetes launcher."
    )
    stdin: File | None = Field(None, description="What it reads; nothing if not given.")
    files: list[File] = Field(default_factory=list, description="Put into its working directory.")
    outputs: list[str] = Field(
        default_factory=list,
        description="Patterns (`out/*.csv`) of files that it leaves and that are kept; what it "
        "writes to standard output is always kept.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables; readers of the project see them: no secrets."
    )
    cores: int | None = Field(None, ge=1, le=256, description="1 if not given.")
    memory: Size | None = Field(
        None, description="Of all its processes together; 1GiB if not given. It is ended above."
    )
    max_output: Size | None = Field(
        None, description="Bytes that it may write; the service's bound if not given."
    )
    wait: Span = span_field(timedelta(0), "How long to wait for the end, 0s to 60s.")
