"""Log lines are JSON, with the ids of their context and the facts of their record."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars

from dli.observability.logs import configure_logs


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The last line that was logged."""
    line: dict[str, object] = json.loads(capsys.readouterr().err.splitlines()[-1])
    return line


def test_a_line_has_event_facts_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", form="json")
    with bound_contextvars(request="r1", project="p1"):
        logging.getLogger("jobs.x").info("run launched", extra={"run": "run_1"})
    line = last(capsys)
    assert line["event"] == "run launched"
    assert (line["request"], line["project"], line["run"]) == ("r1", "p1", "run_1")
    assert (line["level"], line["logger"]) == ("info", "jobs.x")


def test_what_json_cannot_say_is_told_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", form="auto")
    logging.getLogger("x").info("odd", extra={"thing": {1, 2}.__class__})
    assert last(capsys)["thing"] == "<class 'set'>"


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", form="json")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("x").exception("tick failed")
    assert "ValueError: boom" in str(last(capsys)["exception"])


def test_a_warning_of_python_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", form="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("in two\nlines", UserWarning, stacklevel=1)
    line = last(capsys)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "in two\nlines" in str(line["event"])


def test_less_than_the_level_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="WARNING", form="text")
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    told = capsys.readouterr().err
    assert "loud" in told
    assert "quiet" not in told
