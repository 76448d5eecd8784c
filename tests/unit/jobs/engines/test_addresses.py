from __future__ import annotations

import pytest

from jobs.engines import sail, spark


@pytest.mark.parametrize(
    ("uri", "for_sail", "for_spark"),
    [
        ("file:///d/a.parquet", "file:///d/a.parquet", "file:///d/a.parquet"),
        ("file:///d/p=1/a b", "file:///d/p=1/a%20b", "file:///d/p=1/a b"),
        ("file:///d/50%", "file:///d/50%25", "file:///d/50%"),
        ("file:///d/[1]{2}?*", "file:///d/%5B1%5D%7B2%7D%3F*", r"file:///d/\[1\]\{2\}\?\*"),
        ("s3://b/ü#", "s3://b/%C3%BC%23", "s3a://b/ü#"),
    ],
)
def test_addresses_say_what_ours_say(uri: str, for_sail: str, for_spark: str) -> None:
    assert sail.address(uri) == for_sail
    assert spark.address(uri) == for_spark
