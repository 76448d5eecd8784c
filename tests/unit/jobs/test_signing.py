"""Only who knows the secret is heard, and only for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.signing import (
    WINDOW,
    SignatureInvalidError,
    check_signature,
    new_secret,
    signature_of,
)
from tests.support.jobs import NOW

SECRET, BODY = "whs_secret", b'{"a": 1}'
AT = int(NOW.timestamp())
GOOD = signature_of(SECRET, timestamp=AT, delivery="d-1", body=BODY)


def check(**changes: object) -> str:
    given: dict[str, object] = {
        "secret": SECRET,
        "timestamp": str(AT),
        "delivery": "d-1",
        "signature": GOOD,
        "body": BODY,
        "now": NOW,
    }
    given |= changes
    secret = given.pop("secret")
    return check_signature(secret, **given)  # type: ignore[arg-type]


def test_a_right_signature_gives_the_delivery() -> None:
    assert check() == "d-1"
    assert check(now=NOW + WINDOW) == "d-1"
    assert check(now=NOW - WINDOW) == "d-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": None},
        {"secret": "whs_other"},
        {"body": BODY + b" "},
        {"signature": None},
        {"signature": ""},
        {"signature": GOOD.removeprefix("v1=")},
        {"signature": GOOD[:-1] + "é"},
        {"timestamp": None},
        {"timestamp": "now"},
        {"timestamp": "٣"},
        {"timestamp": "9" * 500},
        {"timestamp": str(AT + 1)},
        {"delivery": None},
        {"delivery": "d-2"},
        {"now": NOW + WINDOW + timedelta(seconds=1)},
        {"now": NOW - WINDOW - timedelta(seconds=1)},
    ],
)
def test_anything_else_is_refused_alike(changes: dict[str, object]) -> None:
    with pytest.raises(SignatureInvalidError) as caught:
        check(**changes)
    assert SECRET not in str(caught.value) + str(caught.value.details)


@pytest.mark.parametrize("delivery", ["", "a b", "a.b", "x" * 129, "é"])
def test_a_delivery_has_a_plain_name(delivery: str) -> None:
    signature = signature_of(SECRET, timestamp=AT, delivery=delivery, body=BODY)
    with pytest.raises(SignatureInvalidError):
        check(delivery=delivery, signature=signature)


def test_secrets_are_long_and_differ() -> None:
    assert new_secret() != new_secret()
    assert len(new_secret()) == 44
