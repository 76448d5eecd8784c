from __future__ import annotations

import pytest

from sql.analysis.schema import data_type, ddl_type
from storage.catalog.datatypes import normal_type


@pytest.mark.parametrize(
    "text",
    [
        "decimal(10,2)",
        "timestamp_ntz",
        "struct<userId:bigint,`Y y`:string,ÜB:date>",
        "array<struct<A:map<string,struct<INT:int>>>>",
        "struct<`a``B:c`:int>",
    ],
)
def test_names_of_fields_stay_as_they_are_written(text: str) -> None:
    assert normal_type(ddl_type(data_type(text))) == normal_type(text)


def test_all_else_is_in_lower_case() -> None:
    assert ddl_type(data_type("STRUCT<Ab: DECIMAL(5, 1)>")) == "struct<Ab: decimal(5, 1)>"
