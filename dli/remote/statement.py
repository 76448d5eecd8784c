"""The envelope of a statement as frozen values; ``raw`` keeps all that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dli.remote.problems import Problem, StatementFailedError


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of a currency, to the last digit that the service gave."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        """``USD 0.000265``: trailing zeros dropped, two places kept."""
        text = f"{self.amount:f}"
        if "." in text:
            whole, _, rest = text.partition(".")
            text = f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
        return f"{self.currency} {text}"

    @classmethod
    def read(cls, body: Mapping[str, Any] | None) -> Money | None:
        return None if body is None else cls(Decimal(str(body["amount"])), str(body["currency"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """What a statement reads of one table."""

    name: str
    snapshot: str | None
    files: int
    files_kept: int
    partitions_kept: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a statement will read and cost, known before it runs."""

    bytes_processed: int
    exactness: str
    rows: Mapping[str, int | None]  #: low, likely, high (None: no bound)
    cu_seconds: Mapping[str, float | None]
    price: Money | None
    tables: Sequence[TableUse]

    @classmethod
    def read(cls, body: Mapping[str, Any] | None) -> Estimate | None:
        if body is None:
            return None
        return cls(
            bytes_processed=int(body.get("bytes_processed") or 0),
            exactness=str(body.get("exactness") or "exact"),
            rows=body.get("rows") or {},
            cu_seconds=body.get("cu_seconds") or {},
            price=Money.read(body.get("price")),
            tables=tuple(
                TableUse(
                    name=table["name"],
                    snapshot=table.get("snapshot"),
                    files=int(table.get("files") or 0),
                    files_kept=int(table.get("files_kept") or 0),
                    partitions_kept=table.get("partitions_kept"),
                )
                for table in body.get("tables") or ()
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a result by its Spark type."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultInfo:
    """What there is to fetch. ``inline`` are the first rows (1 MiB at most) in wire form."""

    schema: tuple[Field, ...]
    rows: int
    bytes: int
    truncated: bool
    expires_at: str | None
    chunks: int
    inline: Sequence[Sequence[Any]]

    @property
    def complete_inline(self) -> bool:
        """Whether the inline rows are all rows."""
        return len(self.inline) == self.rows

    @classmethod
    def read(cls, body: Mapping[str, Any] | None) -> ResultInfo | None:
        if body is None:
            return None
        return cls(
            schema=tuple(
                Field(
                    name=column["name"],
                    type=str(column["type"]),
                    nullable=bool(column.get("nullable", True)),
                )
                for column in body.get("schema") or ()
            ),
            rows=int(body.get("rows") or 0),
            bytes=int(body.get("bytes") or 0),
            truncated=bool(body.get("truncated", False)),
            expires_at=body.get("expires_at"),
            chunks=len(body.get("chunks") or ()),
            inline=body.get("inline") or (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement as the service saw it when it answered."""

    id: str
    state: str
    terminal: bool
    statement_type: str | None
    queue: str | None
    database: str | None
    engine: str | None  #: name and version: ``sail 0.7.2``
    created_at: str | None
    ended_at: str | None
    estimate: Estimate | None
    wait: Mapping[str, Any] | None
    obstacle: Mapping[str, Any] | None  #: what keeps its engine's pods from starting
    timings_ms: Mapping[str, float]
    progress: Mapping[str, Any]
    result: ResultInfo | None
    usage: Mapping[str, int]
    bill: Money | None
    error: Problem | None
    findings: Sequence[Mapping[str, str]]  #: what the guard says: rule, level, message
    etag: str | None = None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, body: Mapping[str, Any], *, etag: str | None = None) -> Statement:
        """From the envelope of ``/api/v1/statements``."""
        engine = body.get("engine") or {}
        named = " ".join(str(part) for part in (engine.get("name"), engine.get("version")) if part)
        error = body.get("error")
        return cls(
            id=str(body.get("id") or ""),
            state=str(body.get("state") or ""),
            terminal=bool(body.get("terminal", False)),
            statement_type=body.get("statement_type"),
            queue=body.get("queue"),
            database=body.get("database"),
            engine=named or None,
            created_at=body.get("created_at"),
            ended_at=body.get("ended_at"),
            estimate=Estimate.read(body.get("estimate")),
            wait=body.get("wait"),
            obstacle=body.get("obstacle"),
            timings_ms=body.get("timings_ms") or {},
            progress=body.get("progress") or {},
            result=ResultInfo.read(body.get("result")),
            usage=body.get("usage") or {},
            bill=Money.read(body.get("bill")),
            error=Problem.read(error) if error else None,
            findings=body.get("findings") or (),
            etag=etag,
            raw=body,
        )

    @property
    def price(self) -> Money | None:
        """The quoted price: what a statement that finishes costs, exactly."""
        return self.estimate.price if self.estimate else None

    @property
    def seconds(self) -> float:
        """From the submit to the end, as the service measured it; 0 while it runs."""
        return float(self.timings_ms.get("total") or 0.0) / 1000


def finished(statement: Statement) -> Statement:
    """The statement if it finished; raises ``StatementFailedError`` if it ended otherwise."""
    if statement.state == "finished":
        return statement
    problem = statement.error or Problem(
        code=f"statement_{statement.state}", message=f"the statement is {statement.state}"
    )
    raise StatementFailedError(problem, statement_id=statement.id, state=statement.state)
