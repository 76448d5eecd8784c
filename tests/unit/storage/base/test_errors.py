"""Failures are the stored form of errors."""

from __future__ import annotations

from storage.base.errors import BusyError, Failure, InvalidInputError, ServiceError


class LocatedError(InvalidInputError):
    """An error with a place."""

    code = "located"


def test_failure_lifts_the_place_out_of_the_details() -> None:
    failure = Failure.of(LocatedError("bad", hint="mend it", line=3, column=7, table="t"))
    assert failure == Failure(
        code="located", message="bad", hint="mend it", line=3, column=7, details={"table": "t"}
    )


def test_failure_leaves_the_error_as_it_is() -> None:
    error = LocatedError("bad", line=3)
    Failure.of(error)
    assert error.details == {"line": 3}


def test_failure_tells_what_may_be_tried_again() -> None:
    assert Failure.of(BusyError("later")).retryable
    assert not Failure.of(ServiceError("never")).retryable


def test_error_shows_its_message() -> None:
    assert str(LocatedError("bad", hint="mend it")) == "bad"
