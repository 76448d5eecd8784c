"""What is left of a run's cap becomes the cap of each job."""

from __future__ import annotations

import pytest

from jobs.pipelines.drafting import capped
from jobs.pipelines.errors import PipelineCapError
from storage.base.quantities import parse_amount

DOCUMENT = {"kind": "statement", "sql": "SELECT 1"}


def nanos(text: str) -> int:
    return parse_amount(text)


@pytest.mark.parametrize(
    ("own", "spent", "wanted"),
    [
        (None, "0", "1.00"),
        (None, "0.75", "0.25"),
        ("0.10", "0.75", "0.10"),
        ("0.30", "0.75", "0.25"),
    ],
)
def test_job_may_take_what_is_left_but_no_more_than_its_own(
    own: str | None, spent: str, wanted: str
) -> None:
    document = DOCUMENT if own is None else DOCUMENT | {"max_cost": own}
    made = capped("n", document, cap=nanos("1"), spent=nanos(spent), price=nanos("0.10"))
    assert nanos(made["max_cost"]) == nanos(wanted)
    assert {**made, "max_cost": None} == {**DOCUMENT, "max_cost": None}


def test_price_of_all_that_is_left_is_taken() -> None:
    assert capped("n", DOCUMENT, cap=10, spent=4, price=6)


def test_price_above_what_is_left_is_refused() -> None:
    with pytest.raises(PipelineCapError, match="node n would cost"):
        capped("n", DOCUMENT, cap=10, spent=4, price=7)


def test_run_that_is_over_its_cap_has_nothing_left() -> None:
    with pytest.raises(PipelineCapError, match="and 0 is left"):
        capped("n", DOCUMENT, cap=nanos("1"), spent=nanos("2"), price=nanos("1"))


def test_job_without_a_price_counts_as_its_own_cap() -> None:
    document = DOCUMENT | {"max_cost": "0.50"}
    assert capped("n", document, cap=nanos("1"), spent=nanos("0.50"), price=None)
    with pytest.raises(PipelineCapError, match="would cost"):
        capped("n", document, cap=nanos("1"), spent=nanos("0.60"), price=None)
    with pytest.raises(PipelineCapError, match="no price"):
        capped("n", DOCUMENT, cap=nanos("1"), spent=0, price=None)
