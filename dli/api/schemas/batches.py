"""Requests and answers about batches and uploaded files."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dli.api.schemas.fields import Body, Reply, Size, Span, span_field
from dli.api.schemas.terms import TermsBody
from jobs.files import parse_file_uri
from jobs.lifecycle.spec import BatchLanguage, BatchSession


class BatchMode(StrEnum):
    """How far a batch is taken."""

    RUN = "run"
    ESTIMATE = "estimate"


_ADDRESS = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")


def _address(uri: str) -> str:
    if not _ADDRESS.match(uri):
        raise ValueError(
            f"{uri!r} is no address, which begins with / or a scheme, as s3://; a file of your own "
            "is uploaded first (POST /api/v1/files) and named by its sha256"
        )
    return uri


class FileBody(Body):
    """A file: uploaded before (`sha256`), an object (`uri`), or a part of this form (`part`)."""

    name: str | None = Field(None, description="In the program's folder; else as it is called.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Of a file uploaded by `POST /files`."
    )
    uri: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="An object or a file in an allowed place."
    )
    part: str | None = Field(None, description="The file name of a part of `multipart/form-data`.")

    @model_validator(mode="before")
    @classmethod
    def _kept_by_the_service(cls, given: object) -> object:
        """`dli://files/…` is how the service names what jobs left."""
        kept = parse_file_uri(str(given.get("uri"))) if isinstance(given, dict) else None
        if kept is None:
            return given
        assert isinstance(given, dict)
        rest = {name: value for name, value in given.items() if name != "uri"}
        return {"name": kept[1] or None, "sha256": kept[0], **rest}

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(each is not None for each in (self.sha256, self.uri, self.part)) != 1:
            raise ValueError("give one of sha256, uri and part")
        return self


def _located(value: object) -> object:
    return {"uri": _address(value)} if isinstance(value, str) else value


#: A text is the address of an object.
File = Annotated[FileBody, BeforeValidator(_located, json_schema_input_type=FileBody | str)]


class SizeBody(Body):
    """What one process of a batch may use."""

    cores: int = Field(ge=1, le=256)
    memory: Size = Field(description="All of it: heap, Python and what is beside them.")


def _text(value: object) -> object:
    """Spark's confs are text; JSON's numbers and truths are written as Spark reads them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


ConfValue = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | bool | int | float)]


class BatchBody(TermsBody):
    """A Spark program to run or to estimate."""

    name: str | None = Field(None, description="For people; else the program's file name.")
    program: File = Field(description="A `.py`, `.jar` or `.sql` file; a text is its `uri`.")
    language: BatchLanguage | None = Field(
        None, description="By the program's suffix if not given."
    )
    main_class: str | None = Field(None, description="Of a jar; its manifest's if not given.")
    arguments: list[str] = Field(
        default_factory=list,
        description="Handed to the program. Of SQL: `NAME=VALUE`, what `:NAME` stands for.",
    )
    py_files: list[File] = Field(default_factory=list, description="`.py`, `.zip`, `.egg`, `.whl`.")
    jars: list[File] = Field(default_factory=list)
    files: list[File] = Field(default_factory=list, description="Put into its working directory.")
    conf: dict[str, ConfValue] = Field(
        default_factory=dict, description="Spark configuration, of the keys that the queue allows."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables; readers of the project see them: no secrets."
    )
    database: str | None = Field(None, description="Where table names without one are looked up.")
    tables: list[str] = Field(
        default_factory=list,
        description="`database.table` each: a view of the table's name in `dli_batch.session()`.",
    )
    size: str | None = Field(None, description="`small`, `medium`, `large` or `xlarge`.")
    driver: SizeBody | None = Field(None, description="Instead of `size`.")
    executor: SizeBody | None = None
    executors: int | None = Field(None, ge=0, description="How many; goes with `executor`.")
    session: BatchSession = Field(
        BatchSession.OWN,
        description="`connect`: as a client of the queue's warm Spark, for programs that use only "
        "the DataFrame and SQL API.",
    )
    outputs: list[str] = Field(
        default_factory=list,
        description="Patterns of files in its working directory that are kept when it finishes.",
    )
    mode: BatchMode = BatchMode.RUN
    wait: Span = span_field(timedelta(0), "How long to wait for the end, 0s to 60s.")


class SizeReply(Reply):
    name: str
    cores: int
    memory_bytes: int


class UseReply(Reply):
    """Milliseconds of a compute unit (1 core with 4 GiB)."""

    likely: int | None = Field(description="By earlier runs of the program; null: none is known.")
    most: int = Field(description="If it runs until its timeout.")


class BatchEstimateReply(Reply):
    """What is known before the run. Only what is exact then has a price: a batch has none."""

    id: None
    kind: str
    mode: BatchMode
    name: str
    queue: str
    size: SizeReply
    timeout: str
    cu_milliseconds: UseReply
    price: None
    reason: str
    spec: dict[str, Any]


class FileReply(Reply):
    """An uploaded file; its `sha256` names it in jobs of this project."""

    sha256: str
    size: int
    created_at: str
    last_used_at: str
