"""What a queue may say of pods."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.queues.pods import QueuePods, QueuePodsInvalidError, checked_pods, pods_of


def test_it_comes_back_as_it_was_stored() -> None:
    pods = QueuePods(
        min_executors=0,
        max_executors=8,
        executor_memory=8 << 30,
        template={"spec": {"nodeSelector": {"pool": "a"}}},
    )
    assert pods_of(pods.as_json()) == pods
    assert pods_of(None) == QueuePods()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_executors": -1}, "max_executors"),
        ({"max_executors": 1001}, "max_executors"),
        ({"min_executors": 3, "max_executors": 2}, "min_executors"),
        ({"executor_cores": 0}, "executor_cores"),
        ({"executor_memory": 1 << 20}, "executor_memory"),
        ({"template": {"status": {}}}, "template"),
        ({"template": {"metadata": {"name": "mine"}}}, "template"),
        ({"template": {"spec": []}}, "template"),
        ({"executor_template": {"metadata": {"finalizers": []}}}, "executor_template"),
        ({"executor_template": {"spec": {"x": "y" * 70_000}}}, "executor_template"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(QueuePodsInvalidError) as refused:
        checked_pods(QueuePods(**changes))
    assert refused.value.details["field"] == f"pods.{field}"


def test_a_queue_without_executors_needs_no_least_number() -> None:
    checked_pods(QueuePods(max_executors=0))


@pytest.mark.parametrize(
    ("pods", "reaches"),
    [
        (QueuePods(max_executors=4, executor_cores=8), False),
        (QueuePods(image="other:1"), True),
        (QueuePods(template={"spec": {}}), True),
        (QueuePods(executor_template={"spec": {}}), True),
    ],
)
def test_what_is_in_the_pods_is_for_administrators(pods: QueuePods, reaches: bool) -> None:
    assert pods.reaches_out is reaches
