"""Buckets of an S3 service: where it is, and a store for each, loaded when there is one.

The client and what it needs take a tenth of a service's start, and most have no bucket.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

from storage.objects.api import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where an S3 service is and who we are there. Printing it shows no secret."""

    endpoint: str  #: host or host:port, without a scheme: ``s3.eu-central-1.amazonaws.com``
    region: str = "us-east-1"
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    secure: bool = True  #: TLS


def bucket_store(bucket: str, prefix: str, settings: S3Settings) -> ObjectStore:
    """An ``S3Store``. Raises ``ValueError`` for a name that no bucket can have."""
    store: ObjectStore = importlib.import_module("storage.objects.s3").S3Store(
        bucket, prefix, settings
    )
    return store
