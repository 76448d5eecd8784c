"""Sizes, spans and money are read from what people write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dli.api.schemas.statements import StatementBody


def body(**fields: Any) -> StatementBody:
    return StatementBody.model_validate({"sql": "SELECT 1", **fields})


def test_units_are_understood() -> None:
    read = body(wait="500ms", max_cost="0.05", max_bytes="10GB", result={"ttl": "2d"})
    assert read.wait == timedelta(milliseconds=500)
    assert read.max_cost == 50_000_000
    assert read.max_bytes == 10**10
    assert read.result.ttl == timedelta(days=2)
    assert body(max_bytes=17).max_bytes == 17


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_cost": 0.05}, "money is text"),
        ({"max_cost": "-1"}, "not an amount"),
        ({"wait": 10}, "not a span"),
        ({"wait": "10"}, "not a span"),
        ({"max_bytes": "lots"}, "not a size"),
        ({"max_bytes": -1}, "greater than or equal to 0"),
        ({"max_bytes": 2**63}, "less than or equal"),
        ({"sql": ""}, "at least 1 character"),
        ({"mode": "dream"}, "'run', 'estimate'"),
        ({"labels": {"1x": "y"}}, "should match pattern"),
        ({"labels": {"x": "y" * 257}}, "at most 256"),
        ({"parameters": 7}, "valid d"),
        ({"databse": "x"}, "Extra inputs"),
        ({"result": {"tll": "1h"}}, "Extra inputs"),
    ],
)
def test_what_cannot_be_read_is_told(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        body(**fields)
