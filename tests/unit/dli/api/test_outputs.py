from __future__ import annotations

import pytest

from dli.api.outputs import byte_range
from dli.api.wire import InvalidRequestError


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=7-", (7, 10)),
        ("bytes=7-99", (7, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=5-3", (5, 4)),
        ("bytes=-0", (10, 10)),
    ],
)
def test_range_is_cut_to_the_size(text: str, part: tuple[int, int]) -> None:
    assert byte_range(text, 10) == part


@pytest.mark.parametrize("text", ["", "bytes=-", "bytes=a-b", "rows=1-2", "bytes=1-2,4-5"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        byte_range(text, 10)
