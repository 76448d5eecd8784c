from __future__ import annotations

import os

from benchmarks.__main__ import PAGE, markdown, written
from benchmarks.measuring import PeakMemory, Row, paired, percentile


def test_pair_is_measured_in_turns() -> None:
    calls: list[str] = []
    paired(lambda: calls.append("a"), lambda: calls.append("b"), times=3)
    assert "".join(calls) == "ba" * 5


def test_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99)] == [1.0, 3.0, 5.0]


def test_peak_sees_what_is_let_go_again() -> None:
    with PeakMemory(os.getpid()) as memory:
        block = bytearray(64 * 2**20)
        memory._stop.wait(0.2)
        del block
    assert memory.bytes - memory.before >= 50 * 2**20


def test_table_shows_value_baseline_and_verdict() -> None:
    row = Row(name="x", value=1234.5, unit="ms", baseline=2.0, beside="alone", aim="≤ 1", met=False)
    assert markdown("here", [row]).splitlines()[-1] == "| x | 1,234 ms | 2 ms (alone) | ≤ 1 ✗ |"


def test_table_takes_the_place_of_the_old_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = written(page, "| a |")
    assert "<!-- run -->\n| a |\n<!-- /run -->" in once
    assert written(once, "| a |") == once
    assert once.splitlines()[0] == page.splitlines()[0]
