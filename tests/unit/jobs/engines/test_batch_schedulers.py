"""The documented examples for Kueue and Volcano reach every pod of a queue, and change no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.command import Folders
from jobs.batches.placing import Placing
from jobs.engines.api import EngineNeed, PodTerms
from jobs.engines.executors import TEMPLATE, ExecutorGround, Executors
from jobs.engines.ground import Ground
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.engines.spark_image import ImageSpark
from jobs.launchers.api import PodOptions, RunSpec
from jobs.launchers.pods import FINALIZER, INSTALLATION, MANAGED, PodSettings, pod
from jobs.lifecycle.spec import Size
from jobs.queues.pods import QueuePods, checked_pods
from storage.base.ids import ProjectId, RunId
from tests.support.jobs import make_batch_spec, make_job

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"
GIB = 1 << 30
RUN, HOME = RunId("run_1"), Path("/runs/run_1/work")
SIZE = Size(cores=2, memory_bytes=4 * GIB)
GROUND = Ground(pods=True, executors=ExecutorGround(installation="dli", image="dli:1"))
SETTINGS = PodSettings(installation="dli", namespace="runs", image="dli:1")


def terms(example: str) -> PodTerms:
    """Of a queue that was given the example by ``--pods``."""
    pods = checked_pods(QueuePods(**json.loads((EXAMPLES / f"queue-{example}.json").read_text())))
    return PodTerms(
        executors=Executors(least=1, most=2, size=SIZE, template=pods.executor_template),
        template=pods.template,
        executor_template=pods.executor_template,
    )


def need(example: str) -> EngineNeed:
    return EngineNeed(
        run_id=RUN, project_id=ProjectId("sales"), queue="q", directory=HOME,
        memory_bytes=2 * GIB, cores=2, terms=terms(example),
    )  # fmt: skip


def sail(example: str) -> RunSpec:
    return SailEngine(SailSettings(ground=GROUND)).plan(need(example))


def spark(example: str) -> RunSpec:
    return SparkEngine(SparkSettings(cache=HOME, ground=GROUND)).plan(need(example))


def batch(example: str) -> RunSpec:
    spec = make_batch_spec(driver=SIZE, executor=SIZE, executors=2)
    placing = Placing(ground=GROUND, terms=lambda *_: terms(example))
    whole = Size(cores=6, memory_bytes=12 * GIB)
    return placing.plan(RUN, make_job(spec=spec), spec, whole, Folders(HOME), spark=ImageSpark())


def task(example: str) -> RunSpec:
    options = PodOptions(image="tool:1", bare=True, template=terms(example).template)
    return RunSpec(run_id=RUN, command=("tool",), directory=HOME, pod=options)


def made(plan: Callable[[str], RunSpec], example: str) -> list[dict[str, Any]]:
    """The run's own pod, and that of its executors."""
    spec = plan(example)
    own = pod(spec, SETTINGS, owner="replica")
    files = spec.pod.files if spec.pod else {}
    return [own, *([json.loads(files[TEMPLATE])] if TEMPLATE in files else [])]


@pytest.mark.parametrize(
    ("plan", "pods"),
    [(sail, 1), (spark, 2), (batch, 2), (task, 1)],
    ids=["sail", "spark", "batch", "task"],
)
@pytest.mark.parametrize("example", ["kueue", "volcano"])
def test_every_pod_is_in_the_queue_of_the_cluster(
    example: str, plan: Callable[[str], RunSpec], pods: int
) -> None:
    found = made(plan, example)
    assert len(found) == pods
    for each in found:
        metadata = each["metadata"]
        if example == "kueue":
            assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "analytics"
            assert "schedulerName" not in each["spec"], "the usual one, when Kueue lets it"
        else:
            assert metadata["annotations"]["scheduling.volcano.sh/queue-name"] == "analytics"
            assert each["spec"]["schedulerName"] == "volcano"
        assert metadata["finalizers"] == [FINALIZER], "it is counted as every pod is"
        assert (metadata["labels"][MANAGED], metadata["labels"][INSTALLATION]) == ("dli", "dli")
        assert each["spec"]["securityContext"]["runAsNonRoot"] is True
