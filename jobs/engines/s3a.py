"""How Spark reaches S3: by Hadoop's own connector, ``s3a``. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.access.credentials import Credentials
from storage.objects.buckets import S3Settings

_AMAZON = "software.amazon.awssdk.auth.credentials"
_KEYS = f"{_AMAZON}.EnvironmentVariableCredentialsProvider"
#: Never the node's own identity, which all pods of it would share.
_IDENTITY = (
    f"{_AMAZON}.WebIdentityTokenFileCredentialsProvider,{_AMAZON}.ContainerCredentialsProvider"
)


def confs(s3: S3Settings, credentials: Credentials | None = None) -> Mapping[str, str]:
    """Where the service is; who we are there is in ``environment``, never in arguments."""
    static = credentials is None or credentials.secret is not None
    return {
        # s3a takes its temporary files for those of a file system with checksums.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
        "spark.hadoop.fs.s3a.aws.credentials.provider": _KEYS if static else _IDENTITY,
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(s3.secure).lower(),
        "spark.hadoop.fs.s3a.endpoint": f"{'https' if s3.secure else 'http'}://{s3.endpoint}",
        "spark.hadoop.fs.s3a.endpoint.region": s3.region,
        "spark.hadoop.fs.s3a.path.style.access": str(not _of_amazon(s3.endpoint)).lower(),
    }


def environment(s3: S3Settings, credentials: Credentials | None = None) -> Mapping[str, str]:
    """The service's own keys: of drivers, and of executors by keys of these names in a secret.

    None for a project with credentials of its own: its pods refer to them.
    """
    if credentials is not None:
        return {}
    return {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}


def _of_amazon(endpoint: str) -> bool:
    return endpoint.partition(":")[0].endswith(".amazonaws.com")
