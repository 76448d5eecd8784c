"""Objects in an S3 bucket, through the MinIO client, with short waits and clear errors."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where an S3 service is and who we are there. Printing it shows no secret."""

    endpoint: str  #: host or host:port, without a scheme: ``s3.eu-central-1.amazonaws.com``
    region: str = "us-east-1"
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    secure: bool = True  #: TLS
