"""A client gets the form it likes best among those that are served."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dli.api.results import aware, choose_form
from dli.api.wire import InvalidRequestError, NotAcceptableError

ARROW = "application/vnd.apache.arrow.stream"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        (f"text/html, {ARROW};q=0.9, */*;q=0.1", ARROW),
        (f"text/csv;q=0.5, {ARROW};q=0.8", ARROW),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/csv;q=x, application/json", "application/json"),
    ],
)
def test_the_best_served_form_is_chosen(accept: str | None, expected: str) -> None:
    assert choose_form(accept) == expected


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "image/*", ";;,"])
def test_what_is_not_served_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="not served"):
        choose_form(accept)


def test_a_time_without_a_zone_is_meant_in_utc() -> None:
    given = datetime.fromisoformat("2026-01-01T01:00")
    assert aware(given) == datetime(2026, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_time_that_utc_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        aware(datetime.fromisoformat(text))
