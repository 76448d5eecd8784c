"""What the routes of jobs of all kinds share."""

from __future__ import annotations

import pytest

from dli.api.watching import event_number
from dli.api.wire import InvalidRequestError


@pytest.mark.parametrize(("text", "number"), [(None, 0), ("7", 7), ("007", 7)])
def test_a_stream_goes_on_after_an_event(text: str | None, number: int) -> None:
    assert event_number(text) == number


@pytest.mark.parametrize("text", ["", "-1", "x", "\u00b2", "9" * 5000])
def test_what_is_no_number_of_an_event_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        event_number(text)
