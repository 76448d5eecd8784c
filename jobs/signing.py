"""Signatures of webhooks, those that come and those that go: HMAC-SHA256 with a shared secret.

What is signed is ``<timestamp>.<delivery>.<body>``: seconds since 1970, the id of the delivery, and
the bytes of the body. The signature is sent as ``v1=<hex>``. A signature needs the secret itself,
so it is kept in the row, unlike a token, of which a hash is enough; it is told once and never
logged.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from storage.base.errors import UnauthenticatedError

SIGNATURE = "Dli-Signature"
TIMESTAMP = "Dli-Timestamp"
DELIVERY = "Dli-Delivery"
EVENT = "Dli-Event"

#: How far the clocks of the two may be apart; an older request may be a replay.
WINDOW = timedelta(minutes=5)
_PREFIX = "v1="
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class SignatureInvalidError(UnauthenticatedError):
    """The signature, its time, or the address does not fit; which of them is not told."""

    code = "signature_invalid"


def new_secret() -> str:
    """``whs_`` and 40 characters: 240 random bits."""
    return "whs_" + secrets.token_urlsafe(30)


def signature_of(secret: str, *, timestamp: int, delivery: str, body: bytes) -> str:
    """What goes into the header ``Dli-Signature``."""
    signed = f"{timestamp}.{delivery}.".encode() + body
    return _PREFIX + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def check_signature(
    secret: str | None,
    *,
    timestamp: str | None,
    delivery: str | None,
    signature: str | None,
    body: bytes,
    now: datetime,
) -> str:
    """The id of the delivery. Raises ``SignatureInvalidError``; takes as long without a secret."""
    at = int(timestamp) if timestamp and re.fullmatch(r"[0-9]{1,12}", timestamp) else 0
    name = delivery or ""
    right = signature_of(secret or new_secret(), timestamp=at, delivery=name, body=body)
    fits = hmac.compare_digest(right.encode(), (signature or "").encode())
    fresh = abs(now.timestamp() - at) <= WINDOW.total_seconds()
    if not fits or not fresh or secret is None or not _DELIVERY_ID.fullmatch(name):
        raise SignatureInvalidError(
            "the request is not signed as it must be",
            hint=f"sign <timestamp>.<delivery>.<body> with the trigger's secret, at most "
            f"{WINDOW.seconds // 60} minutes ago; see docs/schedules.md",
        )
    return name
