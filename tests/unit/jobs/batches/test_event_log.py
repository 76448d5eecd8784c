"""Summaries of event logs that real runs of Spark 4.2.1 wrote (without their longest parts)."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.batches.event_log import SparkSummary, summarise

LOGS = Path(__file__).parents[3] / "data" / "spark"


def lines(name: str) -> list[bytes]:
    return (LOGS / f"events-{name}.jsonl").read_bytes().splitlines(keepends=True)


def test_a_finished_program_is_summed_up() -> None:
    told = summarise(lines("finished"))
    assert (told.spark_version, told.complete, told.ms) == ("4.2.1", True, 20562)
    assert (told.jobs, told.failed_jobs, told.stages, told.failed_stages) == (6, 0, 6, 0)
    totals = told.totals
    assert (totals.tasks, totals.failed_tasks) == (9, 0)
    assert (totals.run_ms, totals.cpu_ms, totals.gc_ms) == (3631, 1441, 237)
    assert (totals.input_bytes, totals.output_bytes, totals.output_rows) == (3864, 804, 7)
    assert totals.shuffle_read_bytes == totals.shuffle_write_bytes == 1211
    assert totals.peak_execution_memory == 8650736


def test_stages_add_up_to_the_totals() -> None:
    told = summarise(lines("finished"))
    assert [stage.id for stage in told.longest] == [0, 2, 3, 4, 5, 7]
    assert sum(stage.totals.tasks for stage in told.longest) == told.totals.tasks
    assert sum(stage.totals.cpu_ms for stage in told.longest) == told.totals.cpu_ms


def test_a_failed_program_names_its_failure() -> None:
    told = summarise(lines("failed"))
    assert (told.failed_jobs, told.failed_stages, told.totals.failed_tasks) == (1, 1, 2)
    [failed] = [stage for stage in told.longest if stage.failure]
    assert failed.failure is not None
    assert failed.failure.startswith("[PYTHON_EXCEPTION]")


@pytest.mark.parametrize("kept", [0, 1, 3, 12, 30])
def test_a_log_that_breaks_off_is_told_as_far_as_it_goes(kept: int) -> None:
    whole = lines("finished")
    told = summarise([*whole[:kept], whole[kept][: len(whole[kept]) // 2]])
    assert not told.complete
    assert told.totals.tasks <= 9
    assert told.ms is None


def test_no_log_is_an_empty_summary() -> None:
    assert summarise([]) == SparkSummary()


def test_only_the_longest_stages_are_told_one_by_one() -> None:
    whole = lines("finished")
    told = summarise([*whole[:3], *[line for line in whole if b"StageCompleted" in line] * 10])
    assert told.stages == 60
    assert len(told.longest) == 20
    assert min(stage.ms for stage in told.longest) == 1569


def test_facts_are_json_of_a_bounded_size() -> None:
    facts = summarise(lines("finished")).facts()
    assert facts["totals"]["tasks"] == 9
    assert facts["longest"][0]["planned_tasks"] == 4
