"""How settings are written: sizes like ``64MiB``, spans like ``30s``, lists in one line."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from storage.base.quantities import QuantityError, parse_size, parse_span


def _size(value: object) -> object:
    return _told(parse_size, value)


def _span(value: object) -> object:
    return _told(parse_span, value)


def _told(parse: object, value: object) -> object:
    if not isinstance(value, str) or not callable(parse):
        return value
    try:
        return parse(value)
    except QuantityError as error:
        raise ValueError(f"{error.message}: {error.hint}") from error


def _paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _words(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Span = Annotated[timedelta, BeforeValidator(_span), Field(ge=timedelta(0))]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
