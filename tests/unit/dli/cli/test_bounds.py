"""One word takes a bound away, whatever command it is given to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dli.cli.bounds import Bound, changes_of, count
from dli.cli.main import run
from dli.cli.parameters import checked_amount, checked_span
from dli.cli.session import UsageError
from tests.support.fake_service import FakeService, Reply, fake_service

QUEUE = ["queue", "update", "q"]
SCHEDULE = ["schedule", "update", "s"]
CANARY = ["queue", "canary", "set", "q"]
BUDGET = ["budget", "set"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    with fake_service() as service:
        monkeypatch.setenv("DLI_URL", service.url)
        monkeypatch.setenv("DLI_TOKEN", "dli_secret")
        monkeypatch.setenv("DLI_CONFIG", str(tmp_path / "none.toml"))
        service.on("PATCH /api/v1/queues/q", Reply(body={}))
        service.on("PATCH /api/v1/queues/q/canary", Reply(body={"percent": 1, "shadow": 0}))
        service.on("PATCH /api/v1/schedules/s", Reply(body={"next_due": None}))
        service.on("POST /api/v1/queues", Reply(status=201, body={}))
        yield service


@pytest.mark.parametrize("option", ["--max-running", "--max-waiting", "--timeout"])
def test_what_is_always_bound_says_so(
    service: FakeService, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*QUEUE, option, "none"]) == 2
    assert f"{option}: there is always such a bound" in capsys.readouterr().err
    assert run([*QUEUE, option, "many"]) == 2
    assert "none" not in capsys.readouterr().err


def test_a_bound_is_a_value_or_none_or_not_given() -> None:
    given = [Bound("a", "--a", "7", count(least=1)), Bound("b", "--b", "none", count(least=1))]
    assert changes_of(*given, Bound("c", "--c", None, checked_span)) == {"a": 7, "b": None}


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "٣", "None", "NONE", "unlimited"])
def test_another_word_is_refused_and_the_right_one_told(text: str) -> None:
    with pytest.raises(UsageError, match=f"--a: '{text}' is not a whole number from 1.* or none"):
        changes_of(Bound("a", "--a", text, count(least=1)))
    with pytest.raises(UsageError, match=r"--b: .*write it like 0.05, or none to take it away"):
        changes_of(Bound("b", "--b", f"{text}x", checked_amount))


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ([*QUEUE, "--max-cu", "none"], {"max_cu": None}),
        ([*QUEUE, "--max-cu", "4"], {"max_cu": 4}),
        ([*QUEUE, "--max-running-per-user", "none"], {"max_running_per_user": None}),
        ([*QUEUE, "--max-timeout", "none"], {"max_timeout": None}),
        ([*QUEUE, "--max-timeout", "6h"], {"max_timeout": "6h"}),
        ([*QUEUE, "--max-bytes", "none"], {"max_bytes": None}),
        ([*QUEUE, "--max-bytes", "1kB"], {"max_bytes": 1000}),
        ([*QUEUE, "--max-cost", "none", "--weight", "2"], {"max_cost": None, "weight": 2}),
        ([*QUEUE, "--budget", "none"], {"monthly_budget": None}),
        ([*QUEUE, "--budget", "0"], {"monthly_budget": "0"}),
        ([*QUEUE, "--max-running", "9", "--timeout", "5m"], {"max_running": 9, "timeout": "5m"}),
        ([*QUEUE, "--guard", "none"], {"guard_levels": {}}),
        ([*QUEUE, "--user-weight", "none"], {"user_weights": {}}),
        ([*QUEUE, "--allow-conf", "none"], {"conf_allowed": []}),
        ([*QUEUE, "--pods", "none"], {"pods": {}}),
        (["queue", "create", "q", "--max-cu", "none"], {"name": "q"}),
        ([*SCHEDULE, "--end", "none"], {"end": None}),
        ([*SCHEDULE, "--start", "none", "--cron", "@daily"], {"start": None, "cron": "@daily"}),
        ([*SCHEDULE, "--start", "2026-12-01T00:00Z"], {"start": "2026-12-01T00:00Z"}),
        ([*SCHEDULE, "--jitter", "none"], {"jitter": "0s"}),
        ([*CANARY, "--max-errors", "none"], {"max_errors": None}),
        ([*CANARY, "--max-errors", "5", "--percent", "1"], {"max_errors": 5, "percent": 1}),
    ],
)
def test_none_is_sent_as_null(
    service: FakeService, words: list[str], sent: dict[str, object]
) -> None:
    assert run(words) == 0
    assert [asked.body for asked in service.asked] == [sent]


@pytest.mark.parametrize(
    "words",
    [
        [*QUEUE, "--max-cu", "unlimited"],
        [*QUEUE, "--max-timeout", "never"],
        [*QUEUE, "--max-cost", "null"],
        [*SCHEDULE, "--end", "never"],
        [*CANARY, "--max-errors", "0"],
        [*BUDGET, "unlimited"],
    ],
)
def test_who_writes_another_word_is_told_before_anything_is_sent(
    service: FakeService, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert "or none to take it away" in capsys.readouterr().err
    assert service.asked == []
