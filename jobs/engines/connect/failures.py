"""An engine's errors in our own words: a stable code, and a message without its insides.

Spark tells an error class (``DIVIDE_BY_ZERO``); Sail tells only a text, so that is matched. Both
put everything into gRPC's INTERNAL: the status code says nothing but that a server is lost.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from jobs.engines import errors
from storage.base.errors import ServiceError

_LONGEST = 2000

#: By Spark's error class: the whole of it, or its beginning up to a dot or an underscore.
_BY_CLASS: tuple[tuple[str, type[ServiceError]], ...] = (
    ("OPERATION_CANCELED", errors.StatementInterruptedError),
    ("INVALID_HANDLE", errors.EngineLostError),
    ("INVALID_CURSOR", errors.EngineLostError),
    ("DIVIDE_BY_ZERO", errors.DivisionByZeroError),
    ("REMAINDER_BY_ZERO", errors.DivisionByZeroError),
    ("CAST_INVALID_INPUT", errors.CastInvalidError),
    ("CONVERSION_INVALID_INPUT", errors.CastInvalidError),
    ("CANNOT_PARSE_DECIMAL", errors.CastInvalidError),
    ("CAST_OVERFLOW", errors.NumericOverflowError),
    ("ARITHMETIC_OVERFLOW", errors.NumericOverflowError),
    ("BINARY_ARITHMETIC_OVERFLOW", errors.NumericOverflowError),
    ("NUMERIC_VALUE_OUT_OF_RANGE", errors.NumericOverflowError),
    ("NUMERIC_OUT_OF_SUPPORTED_RANGE", errors.NumericOverflowError),
    ("INTERVAL_ARITHMETIC_OVERFLOW", errors.NumericOverflowError),
    ("CANNOT_PARSE_TIMESTAMP", errors.DatetimeInvalidError),
    ("CANNOT_PARSE_TIME", errors.DatetimeInvalidError),
    ("DATETIME", errors.DatetimeInvalidError),
    ("INVALID_DATETIME_PATTERN", errors.DatetimeInvalidError),
    ("INCONSISTENT_BEHAVIOR_CROSS_VERSION", errors.DatetimeInvalidError),
    ("INVALID_ARRAY_INDEX", errors.IndexOutOfBoundsError),
    ("INVALID_INDEX_OF_ZERO", errors.IndexOutOfBoundsError),
    ("MAP_KEY_DOES_NOT_EXIST", errors.IndexOutOfBoundsError),
    ("SCALAR_SUBQUERY_TOO_MANY_ROWS", errors.SubqueryRowsError),
    ("DUPLICATED_MAP_KEY", errors.DuplicateKeyError),
    ("USER_RAISED_EXCEPTION", errors.RaisedError),
    ("INVALID_PARAMETER_VALUE.PATTERN", errors.PatternInvalidError),
    ("INVALID_PARAMETER_VALUE.REGEX", errors.PatternInvalidError),
    ("INVALID_FORMAT", errors.PatternInvalidError),
    ("DATATYPE_MISMATCH", errors.EngineTypeMismatchError),
    ("INCOMPATIBLE_COLUMN_TYPE", errors.EngineTypeMismatchError),
    ("CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE", errors.EngineTypeMismatchError),
    ("UNRESOLVED_COLUMN", errors.EngineNameError),
    ("UNRESOLVED_FIELD", errors.EngineNameError),
    ("AMBIGUOUS_REFERENCE", errors.EngineNameError),
    ("TABLE_OR_VIEW_NOT_FOUND", errors.EngineNameError),
    ("PARSE_SYNTAX_ERROR", errors.EngineSyntaxError),
    ("UNRESOLVED_ROUTINE", errors.EngineUnsupportedError),
    ("UNSUPPORTED", errors.EngineUnsupportedError),
    ("NOT_SUPPORTED", errors.EngineUnsupportedError),
    ("PATH_NOT_FOUND", errors.InputFileMissingError),
    ("FAILED_READ_FILE.FILE_NOT_EXIST", errors.InputFileMissingError),
    ("FAILED_READ_FILE", errors.InputFileBrokenError),
    ("CANNOT_READ_FILE_FOOTER", errors.InputFileBrokenError),
    ("MALFORMED_RECORD_IN_PARSING", errors.InputFileBrokenError),
    ("PARQUET", errors.InputFileBrokenError),
)

#: By text, the first that is found: what Sail says, and what Spark says without a class.
_BY_TEXT: tuple[tuple[str, type[ServiceError]], ...] = (
    (r"maxResultSize|serialized results", errors.ResultTooLargeError),
    (r"SparkContext (was|has been) shut ?down|stopped SparkContext", errors.EngineLostError),
    (r"OutOfMemoryError|Java heap space|Unable to acquire \d+ bytes|Resources exhausted|"
     r"Failed to allocate additional", errors.EngineOutOfMemoryError),
    (r"session .* is not running", errors.EngineLostError),
    (r"No FileSystem for scheme|ClassNotFoundException.*s3a", errors.EngineCannotReadError),
    (r"[Dd]ivi(de|sion) by zero", errors.DivisionByZeroError),
    (r"USER_RAISED_EXCEPTION|raise_error|assert_true|is not true!$", errors.RaisedError),
    (r"Cannot (parse|cast) .*(date|timestamp|time)|[Ii]nvalid date|Error parsing timestamp|"
     r"out of range for (date|timestamp)|CANNOT_PARSE_TIMESTAMP|"
     r"datetime field at byte offset", errors.DatetimeInvalidError),
    (r"[Oo]verflow|too large to store|out of range|not fit", errors.NumericOverflowError),
    (r"Cast error|Can't cast value|CAST_INVALID_INPUT|Cannot cast (string|value)|"
     r"Error while casting|malformed|Could not cast", errors.CastInvalidError),
    (r"[Ii]ndex .*out of bounds|INVALID_ARRAY_INDEX|SQL array indices",
     errors.IndexOutOfBoundsError),
    (r"[Ss]calar subquery.*(more than one|multiple) row|more than one row returned by a subquery|"
     r"returned more than one row", errors.SubqueryRowsError),
    (r"[Dd]uplicate(d)? (map )?key", errors.DuplicateKeyError),
    (r"regex parse error|[Rr]egular expression|invalid regex", errors.PatternInvalidError),
    (r"unknown function|not (yet )?supported|not (yet )?implemented|[Uu]nsupported|"
     r"This feature is not implemented", errors.EngineUnsupportedError),
    (r"Cannot coerce|[Tt]ype mismatch|cannot be (compared|coerced)|No function matches|"
     r"[Ss]chema error: .*type|different types", errors.EngineTypeMismatchError),
    (r"No field named|[Tt]able not found|[Aa]mbiguous|attribute .* is missing|"
     r"cannot resolve attribute", errors.EngineNameError),
    (r"found .* at \d+:\d+ expected|syntax error|ParserError", errors.EngineSyntaxError),
    (r"not found|No such file", errors.InputFileMissingError),
    (r"Parquet error|not a Parquet file|Corrupt|[Ii]nvalid Parquet|Arrow error: (Csv|Json)|"
     r"Error while reading|[Ss]nappy|Zstd|EOF", errors.InputFileBrokenError),
)  # fmt: skip

_CUT = re.compile(
    r"\s*(\n== |\nJVM stacktrace|\n\tat |\n'?[A-Z]\w+ \[|;\s*\n|; line \d+ pos \d+|SQLSTATE: ).*",
    re.DOTALL,
)
_CLASS = re.compile(r"^(?:[\w.$]*(?:Exception|Error): )?\[([A-Z0-9_.]+)\] ?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WRAPPERS = re.compile(
    r"^((External error|Execution error|Arrow error|Error during planning|Optimizer rule '[^']*' "
    r"failed|caused by|Internal error|DataFusion error|internal error|invalid argument|"
    r"Compute error|Invalid argument error|Schema error|This feature is not implemented): ?\n?)+",
    re.IGNORECASE,
)


def translate(error: grpc.RpcError, *, engine: str) -> ServiceError:
    """What to raise in place of what gRPC raised."""
    status, text = error.code(), error.details() or ""
    if status is grpc.StatusCode.CANCELLED and "RST_STREAM" in text:  # a task of Sail panicked
        return errors.EngineStatementError(
            f"the {engine} engine failed inside", hint="try the other engine", engine=engine
        )
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return errors.EngineLostError(f"the {engine} engine was lost", engine=engine)
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.EngineLostError(f"the {engine} engine does not answer", engine=engine)
    if status is grpc.StatusCode.UNAUTHENTICATED:  # it never was ours, or is not any more
        return errors.EngineLostError(f"the {engine} engine does not know us", engine=engine)
    told = _error_class(error)
    kind = _kind(told, text)
    return kind(clean(text), engine=engine, **({"engine_error": told} if told else {}))


def clean(text: str) -> str:
    """The sentence for people: no class names, plans, settings nor stack traces."""
    text = _WRAPPERS.sub("", _CUT.sub("", _CLASS.sub("", text.strip())))
    text = " ".join(each for each in _SENTENCE.split(text) if "spark." not in each).strip()
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text or "the engine gives no reason"


def _kind(told: str, text: str) -> type[ServiceError]:
    match = _CLASS.match(text)
    for name in filter(None, (told, match[1] if match else "")):
        for prefix, kind in _BY_CLASS:
            if name == prefix or name.startswith((f"{prefix}.", f"{prefix}_")):
                return kind
    for pattern, kind in _BY_TEXT:
        if re.search(pattern, text):
            return kind
    return errors.EngineStatementError


def _error_class(error: grpc.RpcError) -> str:
    """Spark's error class out of the details that travel in the trailers; "" without one."""
    trailers: Any = error.trailing_metadata()
    for key, value in trailers or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        info = error_details_pb2.ErrorInfo()
        status: Any = status_pb2.Status()
        try:
            status.ParseFromString(value)
            for detail in status.details:
                if detail.Unpack(info):
                    return str(info.metadata.get("errorClass", ""))
        except DecodeError:
            return ""
    return ""
