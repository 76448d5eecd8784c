"""What is planned for pods, and what stays as it was on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.engines.api import Engine, EngineNeed, PodTerms
from jobs.engines.errors import EngineCannotReadError
from jobs.engines.executors import ExecutorGround, Executors
from jobs.engines.ground import HERE, Ground
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.api import RunSpec
from jobs.lifecycle.spec import Size
from sql.statement import Binding
from storage.base.ids import ProjectId, RunId
from storage.objects.buckets import S3Settings
from storage.tables.snapshots import TableFile
from tests.support.engines import binding

GIB = 1 << 30
S3 = S3Settings(
    endpoint="s3:9000", access_key="hidden-key", secret_key="hidden-secret", secure=False
)
ALL = "0.0.0.0"  # noqa: S104  a pod's network is its own
PODS = Ground(
    python=Path("/opt/dli/bin/python"),
    pods=True,
    executors=ExecutorGround(namespace="team", installation="dli", image="dli:1"),
)
TERMS = PodTerms(
    executors=Executors(least=1, most=4, size=Size(cores=2, memory_bytes=4 * GIB)),
    template={"spec": {"nodeSelector": {"pool": "a"}}},
    overcommit=200,
)


def need(terms: PodTerms = TERMS) -> EngineNeed:
    return EngineNeed(
        run_id=RunId("run_1"),
        project_id=ProjectId("prj_1"),
        queue="default",
        directory=Path("/runs/run_1/work"),
        memory_bytes=2 * GIB,
        cores=2,
        terms=terms,
    )


def spark(tmp_path: Path, ground: Ground = PODS, terms: PodTerms = TERMS) -> RunSpec:
    settings = SparkSettings(cache=tmp_path, ground=ground, s3=S3)
    return SparkEngine(settings).plan(need(terms))


def confs(spec: RunSpec) -> dict[str, str]:
    words = list(spec.command)
    pairs = [words[at + 1] for at, word in enumerate(words) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def option(spec: RunSpec, name: str) -> str:
    return spec.command[spec.command.index(name) + 1]


def external(uri: str) -> Binding:
    file = TableFile(uri=uri, size=1, rows=None, etag="", partition=())
    return replace(binding("t", [("a", "int")], []), files=(file,))


def test_sail_listens_where_others_reach_its_pod() -> None:
    spec = SailEngine(SailSettings(ground=PODS)).plan(need())
    assert spec.command[0] == "/opt/dli/bin/python"
    assert (option(spec, "--ip"), option(spec, "--port")) == (ALL, "15002")
    assert spec.port == 15002
    assert spec.limits.cores == 2


def test_a_pod_requests_what_overcommit_leaves_and_gets_the_queues_template() -> None:
    spec = SailEngine(SailSettings(ground=PODS)).plan(need())
    assert spec.pod is not None
    assert spec.pod.reserves is not None
    assert spec.pod.reserves.cpu_millis == 1000
    assert spec.pod.reserves.memory_bytes == GIB
    assert spec.pod.template == TERMS.template


def test_here_servers_are_for_this_machine_only() -> None:
    spec = SailEngine(SailSettings()).plan(need())
    assert option(spec, "--ip") == "127.0.0.1"
    assert spec.port != 15002


def test_spark_starts_with_what_the_image_has(tmp_path: Path) -> None:
    spec = spark(tmp_path)
    assert spec.command[:2] == ("/opt/java/bin/java", "@/opt/spark-classes/driver.args")
    assert option(spec, "--master") == "k8s://https://kubernetes.default.svc"
    assert confs(spec)["spark.connect.grpc.binding.address"] == ALL
    assert confs(spec)["spark.ui.port"] == "4040"
    assert spec.pod is not None
    assert (
        confs(spec)["spark.scheduler.allocation.file"] == "file:///runs/run_1/work/fair-pools.xml"
    )
    assert "FAIR" in spec.pod.files["fair-pools.xml"]
    assert list(tmp_path.iterdir()) == [], "nothing is made here"


def test_without_executors_the_driver_computes_and_hides_its_inner_ports(tmp_path: Path) -> None:
    spec = spark(tmp_path, terms=PodTerms())
    assert option(spec, "--master") == "local[2]"
    assert confs(spec)["spark.driver.bindAddress"] == "127.0.0.1"
    assert spec.pod is not None
    assert not spec.pod.makes_pods


def test_a_driver_that_only_coordinates_is_compiled_quickly(tmp_path: Path) -> None:
    assert "-XX:TieredStopAtLevel=1" in spark(tmp_path).command
    assert "-XX:TieredStopAtLevel=1" not in spark(tmp_path, terms=PodTerms()).command


def test_shuffles_are_planned_for_all_executors(tmp_path: Path) -> None:
    assert confs(spark(tmp_path))["spark.sql.shuffle.partitions"] == "32", "4 executors of 2 cores"
    assert confs(spark(tmp_path, terms=PodTerms()))["spark.sql.shuffle.partitions"] == "8"


def test_credentials_are_in_no_argument(tmp_path: Path) -> None:
    spec = spark(tmp_path)
    assert "hidden" not in " ".join(spec.command)
    assert "hidden" not in repr(spec)
    assert spec.environment["AWS_SECRET_ACCESS_KEY"] == "hidden-secret"
    assert spec.pod is not None
    assert spec.pod.secrets["AWS_ACCESS_KEY_ID"] == "hidden-key"
    assert confs(spec)["spark.hadoop.fs.s3a.endpoint"] == "http://s3:9000"


def test_each_spark_asks_for_a_token_that_only_its_order_has(tmp_path: Path) -> None:
    wanted = need()
    spec = SparkEngine(SparkSettings(cache=tmp_path, ground=PODS, s3=S3)).plan(wanted)
    assert spec.environment["SPARK_CONNECT_AUTHENTICATE_TOKEN"] == wanted.token
    assert wanted.token != need().token, "no two engines have the same"
    assert spec.pod is not None
    assert wanted.token not in " ".join(spec.command)
    assert wanted.token not in f"{wanted} {spec} {spec.pod.secrets}", "its executors need none"


@pytest.mark.parametrize("name", ["sail", "spark"])
def test_pods_cannot_read_files_of_this_machine(tmp_path: Path, name: str) -> None:
    engine: Engine = SailEngine(SailSettings(ground=PODS))
    if name == "spark":
        engine = SparkEngine(SparkSettings(cache=tmp_path, ground=PODS, s3=S3))
    with pytest.raises(EngineCannotReadError, match="pods"):
        engine.check(external("file:///data/a.parquet"))
    engine.check(external("s3://bucket/a.parquet"))


def test_here_sail_reads_files_of_this_machine() -> None:
    SailEngine(SailSettings(ground=HERE)).check(external("file:///data/a.parquet"))
