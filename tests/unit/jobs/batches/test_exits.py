"""What ends of programs mean. The logs are those of real runs, cut to what matters."""

from __future__ import annotations

import pytest

from jobs.batches.exits import ExitKind, ProgramExit, judge, last_error
from jobs.lifecycle.events import Fault

SPARK_ERROR = """\
args ['fail']
Traceback (most recent call last):
  File "/home/anna/app.py", line 10, in <module>
    s.sql("select assert_true(false)").collect()
  File "pyspark/errors/exceptions/captured.py", line 257, in deco
    raise converted from None
pyspark.errors.exceptions.captured.SparkRuntimeException: [USER_RAISED_EXCEPTION] 'false' is \
not true! SQLSTATE: P0001
"""
WORKER_ERROR = """\
Traceback (most recent call last):
  File "/home/anna/app.py", line 18, in <module>
    s.range(3).select(udf(f)("id")).collect()
pyspark.errors.exceptions.captured.PythonException: An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/home/anna/app.py", line 17, in f
    def f(x): raise ValueError("bad row %d" % x)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: bad row 1
"""
JAVA_ERROR = """\
2026-11-21T18:36:00.000Z WARN SparkSession: x
Exception in thread "main" java.lang.IllegalStateException: no input given
\tat com.example.Main$.main(Main.scala:5)
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SPARK_ERROR, "SparkRuntimeException: [USER_RAISED_EXCEPTION] 'false' is not true! "
                      "SQLSTATE: P0001"),
        (WORKER_ERROR, "ValueError: bad row 1"),
        (JAVA_ERROR, "IllegalStateException: no input given"),
        ("Error: Failed to load class com.example.Nope.", "Failed to load class com.example.Nope."),
        ("dli-sql: statement 2 at line 3: [PARSE_SYNTAX_ERROR] near 'x'",
         "statement 2 at line 3: [PARSE_SYNTAX_ERROR] near 'x'"),
        ("Traceback (most recent call last):\n  File x\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("Traceback (most recent call last):\n  File x\nValueError: \x1b[31mred\x1b[0m\n",
         "ValueError: red"),
        ("Look: a word with a colon\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_last_error_is_found(text: str, told: str | None) -> None:
    assert last_error(text) == told


def test_a_long_error_is_cut() -> None:
    told = last_error(f"Traceback (most recent call last):\nValueError: {'x' * 5000}")
    assert told is not None
    assert len(told) == 400


@pytest.mark.parametrize(
    ("ended", "kind", "fault"),
    [
        (ProgramExit(code=0, reason=None), ExitKind.DONE, None),
        (ProgramExit(code=0, reason=None, out="java.lang.OutOfMemoryError"), ExitKind.DONE, None),
        (ProgramExit(code=1, reason=None), ExitKind.PROGRAM_FAILED, Fault.USER),
        (ProgramExit(code=3, reason=None), ExitKind.PROGRAM_FAILED, Fault.USER),
        (ProgramExit(code=101, reason=None), ExitKind.PROGRAM_FAILED, Fault.USER),
        (
            ProgramExit(
                code=3,
                reason=None,
                out="Terminating due to java.lang.OutOfMemoryError: Java heap space\n",
            ),
            ExitKind.OUT_OF_MEMORY,
            Fault.MEMORY,
        ),
        (
            ProgramExit(code=1, reason=None, out="Traceback …\nMemoryError\n"),
            ExitKind.OUT_OF_MEMORY,
            Fault.MEMORY,
        ),
        (ProgramExit(code=52, reason=None), ExitKind.OUT_OF_MEMORY, Fault.MEMORY),
        (ProgramExit(code=137, reason=None), ExitKind.OUT_OF_MEMORY, Fault.MEMORY),
        (ProgramExit(code=-9, reason=None), ExitKind.OUT_OF_MEMORY, Fault.MEMORY),
        (ProgramExit(code=-9, reason="memory"), ExitKind.OUT_OF_MEMORY, Fault.MEMORY),
        (ProgramExit(code=-15, reason=None), ExitKind.KILLED, Fault.PLATFORM),
        (ProgramExit(code=143, reason=None), ExitKind.KILLED, Fault.PLATFORM),
        (ProgramExit(code=-15, reason="lease"), ExitKind.PLATFORM_FAULT, Fault.PLATFORM),
        (ProgramExit(code=0, reason="orphaned"), ExitKind.PLATFORM_FAULT, Fault.PLATFORM),
        (ProgramExit(code=None, reason=None), ExitKind.PLATFORM_FAULT, Fault.PLATFORM),
        (ProgramExit(code=127, reason=None), ExitKind.PLATFORM_FAULT, Fault.PLATFORM),
        (ProgramExit(code=-6, reason=None), ExitKind.PLATFORM_FAULT, Fault.PLATFORM),
        (
            ProgramExit(
                code=1, reason=None, err="Error occurred during initialization of VM\nCould not"
            ),
            ExitKind.PLATFORM_FAULT,
            Fault.PLATFORM,
        ),
        (
            ProgramExit(code=1, reason=None, out="OSError: [Errno 28] No space left on device"),
            ExitKind.PLATFORM_FAULT,
            Fault.PLATFORM,
        ),
    ],
)
def test_ends_are_told_apart(ended: ProgramExit, kind: ExitKind, fault: Fault | None) -> None:
    verdict = judge(ended)
    assert (verdict.kind, verdict.fault) == (kind, fault)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("137(SIGKILL, possible container OOM)", ExitKind.OUT_OF_MEMORY),
        ("52(JVM OOM)", ExitKind.OUT_OF_MEMORY),
        ("3(unexpected)", ExitKind.OUT_OF_MEMORY),
        ("31(unexpected)", ExitKind.PROGRAM_FAILED),
        ("1(generic, look at logs to clarify)", ExitKind.PROGRAM_FAILED),
    ],
)
def test_an_executor_without_memory_is_one(code: str, kind: ExitKind) -> None:
    """As Spark's scheduler on Kubernetes words the loss of an executor."""
    out = (
        "org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage 0.0 "
        "failed 4 times, most recent failure: Lost task 3.3 in stage 0.0 (TID 11) (10.0.0.7 "
        "executor 2): ExecutorLostFailure (executor 2 exited caused by one of the running tasks) "
        f"Reason: \nThe executor with id 2 exited with exit code {code}.\n"
    )
    assert judge(ProgramExit(code=1, reason=None, out=out)).kind is kind


def test_a_failure_names_code_and_error() -> None:
    verdict = judge(ProgramExit(code=1, reason=None, out=WORKER_ERROR))
    assert verdict.message == "the program ended with exit code 1: ValueError: bad row 1"


def test_a_signal_is_named() -> None:
    assert "signal 15" in judge(ProgramExit(code=-15, reason=None)).message
