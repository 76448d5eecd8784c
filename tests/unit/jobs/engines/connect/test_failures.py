from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from jobs.engines import errors
from jobs.engines.connect.failures import clean, translate
from storage.base.errors import ServiceError


class Told(grpc.RpcError):
    """What a server told."""

    def __init__(self, text: str, *, code: grpc.StatusCode, error_class: str) -> None:
        self._text, self._code, self._class = text, code, error_class

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> Any:
        if not self._class:
            return ()
        status: Any = status_pb2.Status()
        info = error_details_pb2.ErrorInfo(metadata={"errorClass": self._class})
        status.details.add().Pack(info)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def told(
    text: str, *, code: grpc.StatusCode = grpc.StatusCode.INTERNAL, error_class: str = ""
) -> ServiceError:
    return translate(Told(text, code=code, error_class=error_class), engine="spark")


@pytest.mark.parametrize(
    ("error_class", "kind"),
    [
        ("DIVIDE_BY_ZERO", errors.DivisionByZeroError),
        ("CAST_INVALID_INPUT", errors.CastInvalidError),
        ("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", errors.EngineTypeMismatchError),
        ("OPERATION_CANCELED", errors.StatementInterruptedError),
        ("INVALID_HANDLE.SESSION_CHANGED", errors.EngineLostError),
        ("FAILED_READ_FILE.FILE_NOT_EXIST", errors.InputFileMissingError),
        ("FAILED_READ_FILE.NO_HINT", errors.InputFileBrokenError),
        ("SOMETHING_NEW", errors.EngineStatementError),
    ],
)
def test_error_classes_have_codes(error_class: str, kind: type[ServiceError]) -> None:
    error = told("anything", error_class=error_class)
    assert type(error) is kind
    assert error.details["engine_error"] == error_class


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Arrow error: Divide by zero error", errors.DivisionByZeroError),
        ("[CAST_INVALID_INPUT] The value 'x' cannot be cast", errors.CastInvalidError),
        ("Can't cast value 1000 to type Int8", errors.CastInvalidError),
        ("Total size of serialized results of 9 tasks is bigger", errors.ResultTooLargeError),
        ("java.lang.OutOfMemoryError: Java heap space", errors.EngineOutOfMemoryError),
        ("Resources exhausted: Failed to allocate", errors.EngineOutOfMemoryError),
        ("Cannot call methods on a stopped SparkContext", errors.EngineLostError),
        ("unknown function: foo", errors.EngineUnsupportedError),
        ("Ambiguous reference", errors.EngineNameError),
        ("Parquet error: EOF", errors.InputFileBrokenError),
        ("something else", errors.EngineStatementError),
    ],
)
def test_texts_have_codes(text: str, kind: type[ServiceError]) -> None:
    assert type(told(text)) is kind


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAUTHENTICATED,
    ],
)
def test_connection_that_breaks_is_a_lost_engine(code: grpc.StatusCode) -> None:
    error = told("Socket closed", code=code)
    assert isinstance(error, errors.EngineLostError)
    assert error.retryable


def test_panic_of_a_task_is_no_lost_engine() -> None:
    text = "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))"
    error = told(text, code=grpc.StatusCode.CANCELLED)
    assert type(error) is errors.EngineStatementError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0. "
            'If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. '
            "SQLSTATE: 22012\n== SQL (line 1, position 8) ==\nSELECT 1/0\n       ^^^",
            "Division by zero. Use `try_divide` to tolerate divisor being 0.",
        ),
        (
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column `x` cannot be resolved. SQLSTATE: 42703; "
            "line 1 pos 7;\n'Project ['x]\n+- Range (0, 3)",
            "A column `x` cannot be resolved.",
        ),
        ("Execution error: External error: Arrow error: it broke", "it broke"),
        ("it broke\n\tat org.apache.Spark.run(Spark.java:1)", "it broke"),
        ("", "the engine gives no reason"),
    ],
)
def test_messages_are_sentences_for_people(text: str, sentence: str) -> None:
    assert clean(text) == sentence


def test_long_messages_are_cut() -> None:
    assert len(clean("x" * 5000)) == 2000
