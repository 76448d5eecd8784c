"""Objects in an S3 bucket, through the MinIO client, with short waits and clear errors."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import certifi
import urllib3
from minio import Minio
from minio.error import S3Error
from minio.helpers import check_bucket_name

from storage.objects.api import ObjectInfo, ObjectMissingError, StoreUnavailableError
from storage.objects.buckets import S3Settings
from storage.objects.keys import check_key, check_prefix
from storage.objects.s3_errors import FOREIGN, translated, worth_another_try

T = TypeVar("T")
Infos = list[ObjectInfo]  # within the store, ``list`` is its method

#: A bucket that does not answer fails after at most ATTEMPTS x CONNECT_SECONDS, or READ_SECONDS.
ATTEMPTS = 3
CONNECT_SECONDS = 3.0
READ_SECONDS = 9.0
CONNECTIONS = 32
PART_BYTES = 64 << 20  #: what fits goes in one request
_LONGEST_LINK = timedelta(days=7)  # that version 4 of the signature allows


class S3Store:
    """Objects of one bucket whose keys start with ``prefix`` (empty, or ending in a slash).

    Raises ``ValueError`` for a name that no bucket can have.
    """

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"the prefix of a store ends in a slash: {prefix!r}")
        check_bucket_name(bucket)
        self.bucket = bucket
        self.prefix = check_prefix(prefix)
        self._settings = settings
        self._client = Minio(
            endpoint=settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            region=settings.region,
            secure=settings.secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=False,  # ours, see _try
                maxsize=CONNECTIONS,
                cert_reqs="CERT_REQUIRED",
                ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            ),
        )

    def put(self, key: str, data: bytes) -> None:
        name = self._name(key)
        self._try(key, lambda: self._put(name, data))

    def _put(self, name: str, data: bytes) -> None:
        self._client.put_object(
            bucket_name=self.bucket,
            object_name=name,
            data=io.BytesIO(data),
            length=len(data),
            part_size=PART_BYTES if len(data) > PART_BYTES else 0,
            num_parallel_uploads=1,
        )

    def put_file(self, key: str, path: Path) -> None:
        name = self._name(key)
        with path.open("rb"):
            pass  # a missing source is the caller's mistake and no failure of the store
        self._try(
            key,
            lambda: self._client.fput_object(
                bucket_name=self.bucket, object_name=name, file_path=str(path), part_size=PART_BYTES
            ),
        )

    def link(self, key: str, *, method: str, lasts: timedelta) -> str:
        text: str = self._client.get_presigned_url(
            method=method,
            bucket_name=self.bucket,
            object_name=self._name(key),
            expires=min(lasts, _LONGEST_LINK),
        )
        return text

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        name = self._name(key)
        if length == 0:  # the client takes 0 for "to the end"
            self.stat(key)
            return b""
        return self._try(key, lambda: self._get(name, start, length or 0))

    def _get(self, name: str, start: int, length: int) -> bytes:
        try:
            response = self._client.get_object(
                bucket_name=self.bucket, object_name=name, offset=start, length=length
            )
        except S3Error as error:
            if error.code == "InvalidRange" or error.response.status == 416:
                return b""
            raise
        try:
            data: bytes = response.read()
        finally:
            response.close()
            response.release_conn()
        return data

    def stat(self, key: str) -> ObjectInfo:
        name = self._name(key)
        try:
            found = self._try(
                key, lambda: self._client.stat_object(bucket_name=self.bucket, object_name=name)
            )
        except ObjectMissingError:
            self._require_bucket()
            raise
        return ObjectInfo(key=key, size=found.size or 0, etag=(found.etag or "").strip('"'))

    def _require_bucket(self) -> None:
        """The answer to HEAD has no body, so a missing bucket looks like a missing object."""
        if not self._try(None, lambda: self._client.bucket_exists(bucket_name=self.bucket)):
            raise StoreUnavailableError(
                f"there is no bucket {self.bucket} at {self._settings.endpoint}",
                hint="create it, or correct the setting",
                bucket=self.bucket,
            )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """As promised, and with all keys in memory at once, for their order is not to be relied on.

        SeaweedFS lists folder by folder: ``a/b`` before ``a-b``.
        """
        check_prefix(prefix)
        found = self._try(None, lambda: self._listed(self.prefix + prefix))
        found.sort(key=lambda info: info.key)
        return iter(found)

    def _listed(self, prefix: str) -> Infos:
        found = self._client.list_objects(bucket_name=self.bucket, prefix=prefix, recursive=True)
        return [
            ObjectInfo(
                key=one.object_name.removeprefix(self.prefix),
                size=one.size or 0,
                etag=(one.etag or "").strip('"'),
            )
            for one in found
        ]

    def delete(self, key: str) -> None:
        name = self._name(key)
        self._try(
            key, lambda: self._client.remove_object(bucket_name=self.bucket, object_name=name)
        )

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._name(key)}"

    def _name(self, key: str) -> str:
        return self.prefix + check_key(key)

    def _try(self, key: str | None, action: Callable[[], T]) -> T:
        """The only place that repeats a request: all of ours may be sent twice."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return action()
            except FOREIGN as error:
                if attempt == ATTEMPTS or not worth_another_try(error):
                    raise translated(
                        error, endpoint=self._settings.endpoint, bucket=self.bucket, key=key
                    ) from error
            pause = 0.05 * 4**attempt * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
            threading.Event().wait(pause)
        raise AssertionError("the last attempt returns or raises")
