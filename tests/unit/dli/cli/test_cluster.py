from __future__ import annotations

import pytest

from dli.cli.cluster import shares_cores


@pytest.mark.parametrize(
    ("capacity", "shares"),
    [({"cores": 4.0}, True), ({"cores": 6.0}, False), (None, False)],
)
def test_more_cores_in_use_than_there_are_is_explained(
    capacity: dict[str, float] | None, shares: bool
) -> None:
    assert shares_cores({"used": {"cores": 6.0}, "capacity": capacity}) is shares
