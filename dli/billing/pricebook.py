"""The dated price list: read from a file, checked as a whole, never changed while it is used.

An entry is in force from its hour until the next one of the same meter and class, so neither gaps
nor overlaps can be written down.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dli.billing.money import Money, Price
from jobs.usage import SCAN_BYTES
from storage.base.errors import BrokenError, InvalidInputError
from storage.base.quantities import InvalidAmountError, parse_amount

DEFAULT_PRICES = Path(__file__).with_name("prices.toml")

#: Only what is known exactly before a statement runs may have a price, so that a quote is the bill.
PRICED_METERS = frozenset({SCAN_BYTES})


class PriceListError(BrokenError):
    """The file of prices cannot be read or contradicts itself."""

    code = "price_list_invalid"


class UnknownPriceClassError(InvalidInputError):
    """A price class that the price list does not have."""

    code = "unknown_price_class"


class NoPriceError(BrokenError):
    """The price list starts later than the moment that is asked for."""

    code = "no_price_in_force"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEntry:
    """One price of one meter in one class, from one UTC hour on."""

    meter: str
    price_class: str
    effective_from: datetime
    price: Price
    minimum: int  #: base units charged at least for a use that is not zero


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """All prices; ``entries`` are sorted by class, meter and time."""

    currency: str
    entries: tuple[PriceEntry, ...]
    _series: Mapping[tuple[str, str], tuple[PriceEntry, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the price classes, sorted."""
        return tuple(sorted({entry.price_class for entry in self.entries}))

    def check_class(self, name: str) -> None:
        """Raise ``UnknownPriceClassError`` for a class that has no price at all."""
        if name not in self.classes:
            near = get_close_matches(name, self.classes, n=1)
            raise UnknownPriceClassError(
                f"there is no price class {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.classes)}",
                price_class=name,
            )

    def entry(self, *, meter: str, price_class: str, at: datetime) -> PriceEntry | None:
        """The entry in force ``at`` that moment, None for a meter that has no price in the class.

        Raises ``NoPriceError`` when the meter's first price is still to come.
        """
        series = self._series.get((price_class, meter))
        if series is None:
            return None
        index = bisect_right(series, at, key=lambda entry: entry.effective_from) - 1
        if index < 0:
            raise NoPriceError(
                f"no price of {meter} is in force yet in the class {price_class!r}",
                hint=f"the first one starts at {series[0].effective_from:%Y-%m-%dT%H:%MZ}",
            )
        return series[index]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    meter: str
    price_class: str = Field(alias="class", pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    effective_from: datetime
    amount: str
    per: int = Field(gt=0, le=2**60)
    minimum: int = Field(default=0, ge=0, le=2**60)

    @field_validator("meter")
    @classmethod
    def _has_a_price(cls, meter: str) -> str:
        if meter not in PRICED_METERS:
            raise ValueError(f"{meter!r} cannot have a price; these can: {sorted(PRICED_METERS)}")
        return meter

    @field_validator("effective_from")
    @classmethod
    def _is_an_hour(cls, at: datetime) -> datetime:
        if at.tzinfo is None:
            raise ValueError("needs a time zone: write 2026-01-01T00:00:00Z")
        at = at.astimezone(UTC)
        if (at.minute, at.second, at.microsecond) != (0, 0, 0):
            raise ValueError("is not a full UTC hour")
        return at

    @field_validator("amount")
    @classmethod
    def _is_money(cls, amount: str) -> str:
        try:
            parse_amount(amount)
        except InvalidAmountError as error:
            raise ValueError(error.message) from error
        return amount


class _PriceFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    price: list[_Entry] = Field(min_length=1)


def read_price_book(path: Path = DEFAULT_PRICES) -> PriceBook:
    """The prices of a TOML file, as ``prices.toml`` explains; raises ``PriceListError``."""
    try:
        parsed = _PriceFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PriceListError(f"the price list {path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PriceListError(f"the price list {path}: {place}: {first['msg']}") from error
    return _book(path, parsed)


def _book(path: Path, parsed: _PriceFile) -> PriceBook:
    entries = sorted(
        (
            PriceEntry(
                meter=row.meter,
                price_class=row.price_class,
                effective_from=row.effective_from,
                price=Price(Money(parsed.currency, parse_amount(row.amount)), row.per),
                minimum=row.minimum,
            )
            for row in parsed.price
        ),
        key=lambda entry: (entry.price_class, entry.meter, entry.effective_from),
    )
    series: dict[tuple[str, str], list[PriceEntry]] = {}
    for entry in entries:
        same = series.setdefault((entry.price_class, entry.meter), [])
        if same and same[-1].effective_from == entry.effective_from:
            raise PriceListError(
                f"the price list {path}: {entry.meter} in class {entry.price_class!r} has two "
                f"prices from {entry.effective_from:%Y-%m-%dT%H:%MZ}"
            )
        same.append(entry)
    return PriceBook(
        currency=parsed.currency,
        entries=tuple(entries),
        _series={key: tuple(rows) for key, rows in series.items()},
    )
