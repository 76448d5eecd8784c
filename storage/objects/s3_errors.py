"""What an S3 service and its client say when something is wrong, in the words of the contract."""

from __future__ import annotations

from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from storage.base.errors import ServiceError
from storage.objects.api import ObjectMissingError, StoreFullError, StoreUnavailableError

#: Everything that the client lets out for a service that answers wrongly or not at all.
FOREIGN = (MinioException, HTTPError, ParseError, OSError)

_REFUSED = {
    "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
}  # fmt: skip
_FULL = {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
_PASSING = {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "SlowDownRead"}


def worth_another_try(error: Exception) -> bool:
    """Whether the same request may pass a moment later. A wait that was used up is not repeated."""
    if isinstance(error, S3Error):
        return error.code in _PASSING or int(error.response.status) >= 500
    if isinstance(error, ServerError):
        return int(error.status_code) >= 500
    if isinstance(error, InvalidResponseError):
        return _status(error) >= 500
    if isinstance(error, ReadTimeoutError | SSLError):
        return False
    return isinstance(error, HTTPError | OSError)


def translated(error: Exception, *, endpoint: str, bucket: str, key: str | None) -> ServiceError:
    """The error of the contract for ``error``; names the bucket and never a secret."""
    place = f"bucket {bucket} at {endpoint}"
    if isinstance(error, S3Error):
        code = error.code or str(error.response.status)
        if code == "NoSuchKey" and key is not None:
            return ObjectMissingError(f"there is no object {key} in bucket {bucket}", key=key)
        if code == "NoSuchBucket":
            return StoreUnavailableError(
                f"there is no {place}", hint="create it, or correct the setting", bucket=bucket
            )
        if code in _REFUSED:
            return StoreUnavailableError(
                f"{place} refuses our credentials ({code})",
                hint="check the access key, the secret key and the bucket's policy",
                bucket=bucket,
            )
        if code in _FULL or error.response.status == 507:
            return StoreFullError(f"{place} is full ({code})", bucket=bucket)
        return StoreUnavailableError(f"{place} answers {code}", bucket=bucket)
    if isinstance(error, ServerError):
        return StoreUnavailableError(f"{place} answers {error.status_code}", bucket=bucket)
    if isinstance(error, InvalidResponseError) and _status(error) >= 500:
        return StoreUnavailableError(f"{place} answers {_status(error)}", bucket=bucket)
    if isinstance(error, InvalidResponseError | ParseError):
        return StoreUnavailableError(
            f"{place} does not speak S3", hint="check the endpoint's host and port", bucket=bucket
        )
    return StoreUnavailableError(
        f"{place} does not answer ({type(error).__name__})",
        hint="check that the endpoint is right and can be reached from here",
        bucket=bucket,
    )


def _status(error: InvalidResponseError) -> int:
    """The HTTP status of an answer without S3's XML, as gateways send; the client hides it."""
    return int(getattr(error, "_code", 0))
