"""A client gets the form it likes best among those that are served."""

from __future__ import annotations

import pytest

from dli.api.results import choose_form
from dli.api.wire import NotAcceptableError

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
