"""Types of fields that several requests share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from storage.base.quantities import (
    AMOUNT_PATTERN,
    SIZE_PATTERN,
    SPAN_PATTERN,
    InvalidAmountError,
    QuantityError,
    format_span,
    parse_amount,
    parse_size,
    parse_span,
)


class Body(BaseModel):
    """A request: fields that are not known are refused by name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Reply(BaseModel):
    """An answer; documents its shape."""

    model_config = ConfigDict(populate_by_name=True)


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except QuantityError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


def _span(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is not a span; write it like 500ms, 30s, 5m or 2h")
    try:
        return parse_span(value)
    except QuantityError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


def _nanos(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('money is text, such as "0.05"')
    try:
        return parse_amount(value)
    except InvalidAmountError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


_MOST = 2**63 - 1
#: Of versions and revisions, which are kept in 32 bits.
MOST_NUMBER = 10**9

SPAN_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": SPAN_PATTERN,
    "examples": ["30s", "5m", "2h"],
}
MONEY_SCHEMA: dict[str, Any] = {"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["0.05"]}

#: Bytes; ``10GB`` and ``64MiB`` are understood.
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=0, le=_MOST),
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": _MOST,
            "pattern": SIZE_PATTERN,
            "examples": ["10GB", 1048576],
        }
    ),
]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema(SPAN_SCHEMA),
]
#: Nanos inside, a decimal as text outside.
MoneyText = Annotated[int, BeforeValidator(_nanos), WithJsonSchema(MONEY_SCHEMA)]


def span_field(default: timedelta, description: str) -> Any:
    """A ``Span`` with a default, which the schema tells in the one form that is understood."""
    told = format_span(default)
    return Field(default, description=description, json_schema_extra={"default": told})


class MoneyReply(Reply):
    """Money: a decimal with nine places as text."""

    amount: str = Field(examples=["0.000265000"])
    currency: str = Field(examples=["USD"])
