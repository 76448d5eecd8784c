"""What trials come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.canaries.shadows import outcome_of
from jobs.canaries.trials import (
    LEAST_ERRORS,
    Outcome,
    Report,
    TrialKind,
    ratios_of,
    tells_nothing,
)
from jobs.engines.errors import EngineLostError, EngineStartError, InputFileMissingError
from sql.statement import Repeatable
from storage.results.digests import Digest
from tests.support.canaries import make_trial

SPLIT, SHADOW = TrialKind.SPLIT, TrialKind.SHADOW


def digest(**changes: Any) -> Digest:
    values: dict[str, Any] = {"columns": "c", "rows": 2, "exact": "e", "rounded": "r"}
    return Digest(**values | changes)


@pytest.mark.parametrize(
    ("changes", "repeatable", "outcome"),
    [
        ({}, Repeatable.YES, Outcome.EQUAL),
        ({"exact": "x"}, Repeatable.YES, Outcome.FLOATS),
        ({"exact": "x", "rounded": "x"}, Repeatable.YES, Outcome.DIFFERENT),
        ({"exact": "x", "rounded": "x"}, Repeatable.UNSURE, Outcome.UNSURE),
        ({"rows": 3}, Repeatable.UNSURE, Outcome.DIFFERENT),
        ({"columns": "d"}, Repeatable.UNSURE, Outcome.DIFFERENT),
    ],
)
def test_answers_differ_by_columns_rows_and_values(
    changes: dict[str, Any], repeatable: Repeatable, outcome: Outcome
) -> None:
    assert outcome_of(digest(), digest(**changes), repeatable) is outcome


def test_ratios_are_of_what_both_gave() -> None:
    trials = [
        make_trial(stable_ms=100, canary_ms=millis, stable_cu_ms=200, canary_cu_ms=millis)
        for millis in (50, 100, 100, 400)
    ]
    told = ratios_of([*trials, make_trial(stable_ms=100, canary_ms=None)])
    assert (told.compared, told.time_p50, told.time_p95, told.cost) == (4, 1.0, 4.0, 0.812)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1))
def test_quantiles_are_among_the_ratios(times: list[tuple[int, int]]) -> None:
    told = ratios_of([make_trial(stable_ms=a, canary_ms=b) for a, b in times])
    ratios = sorted(round(max(b, 1) / max(a, 1), 3) for a, b in times)
    assert told.time_p50 in ratios
    assert told.time_p95 in ratios
    assert told.time_p50 is not None
    assert told.time_p95 is not None
    assert told.time_p50 <= told.time_p95


def test_errors_are_what_failed_there_only() -> None:
    told = Report(
        counts={
            (SPLIT, Outcome.FINISHED): 6,
            (SPLIT, Outcome.FAILED): 2,
            (SPLIT, Outcome.RESCUED): 1,
            (SHADOW, Outcome.DIFFERENT): 10,
            (SHADOW, Outcome.ERROR): 1,
        }
    )
    assert (told.errors, told.total, told.error_percent) == (2, 20, 10.0)


def test_a_few_errors_condemn_nobody() -> None:
    few = Report(counts={(SPLIT, Outcome.RESCUED): LEAST_ERRORS - 1})
    many = Report(counts={(SPLIT, Outcome.RESCUED): LEAST_ERRORS, (SPLIT, Outcome.FINISHED): 5})
    assert not few.condemns(1)
    assert (many.condemns(49), many.condemns(50), many.condemns(None)) == (True, False, False)


def test_what_an_image_has_nothing_to_do_with_tells_nothing() -> None:
    assert tells_nothing(EngineStartError("no room", blame="platform", reason="unschedulable"))
    assert tells_nothing(InputFileMissingError("gone"))
    assert not tells_nothing(EngineStartError("no image", blame="operator"))
    assert not tells_nothing(EngineLostError("it died"))
    assert not tells_nothing(None)
