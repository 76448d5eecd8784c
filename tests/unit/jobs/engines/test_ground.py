"""What is planned for pods, and what stays as it was on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.access.credentials import Credentials, SecretKeys
from jobs.engines.api import Engine, EngineNeed, PodTerms
from jobs.engines.errors import EngineCannotReadError
from jobs.engines.executors import TEMPLATE, ExecutorGround, Executors
from jobs.engines.ground import HERE, Ground
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.api import RunSpec, SecretKey
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
    executors=ExecutorGround(installation="dli", image="dli:1"),
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


def test_another_image_is_that_of_executors_too(tmp_path: Path) -> None:
    spec = spark(tmp_path, terms=TERMS.with_image("dli:2"))
    assert spec.pod is not None
    assert spec.pod.image == "dli:2"
    assert confs(spec)["spark.kubernetes.container.image"] == "dli:2"
    assert TERMS.with_image(None) == TERMS


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


KEYS = Credentials(secret=SecretKeys(name="sales-s3", access_key="id", secret_key="key"))
ACCOUNT = Credentials(service_account="sales")
SHARED = {
    "AWS_ACCESS_KEY_ID": "hidden-key",
    "AWS_SECRET_ACCESS_KEY": "hidden-secret",
    "AWS_ENDPOINT": "http://s3:9000",
}


def planned(name: str, folder: Path, credentials: Credentials | None) -> RunSpec:
    wanted = replace(need(), credentials=credentials)
    if name == "sail":
        return SailEngine(SailSettings(environment=SHARED, ground=PODS)).plan(wanted)
    return SparkEngine(SparkSettings(cache=folder, ground=PODS, s3=S3)).plan(wanted)


@pytest.mark.parametrize("credentials", [KEYS, ACCOUNT])
@pytest.mark.parametrize("name", ["sail", "spark"])
def test_a_run_of_a_project_with_credentials_has_none_of_the_services(
    tmp_path: Path, name: str, credentials: Credentials
) -> None:
    spec = planned(name, tmp_path, credentials)
    assert spec.pod is not None
    told = [spec.command, dict(spec.environment), dict(spec.pod.secrets), dict(spec.pod.files)]
    assert "hidden" not in json.dumps(told)


@pytest.mark.parametrize("name", ["sail", "spark"])
def test_its_keys_are_references_to_the_projects_secret(tmp_path: Path, name: str) -> None:
    spec = planned(name, tmp_path, KEYS)
    assert spec.pod is not None
    assert spec.pod.variables == {
        "AWS_ACCESS_KEY_ID": SecretKey("sales-s3", "id"),
        "AWS_SECRET_ACCESS_KEY": SecretKey("sales-s3", "key"),
    }
    assert (spec.pod.passes, spec.pod.service_account) == ((), None)
    if name == "sail":
        assert spec.environment["AWS_ENDPOINT"] == "http://s3:9000", "it is still told where"


@pytest.mark.parametrize("name", ["sail", "spark"])
def test_an_account_has_no_keys_but_what_the_cluster_gives_it(tmp_path: Path, name: str) -> None:
    spec = planned(name, tmp_path, ACCOUNT)
    assert spec.pod is not None
    assert (spec.pod.variables, spec.pod.service_account) == ({}, "sales")
    assert {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"} <= set(spec.pod.passes)


def test_s3a_takes_an_identity_only_from_where_it_is_meant_to(tmp_path: Path) -> None:
    key = "spark.hadoop.fs.s3a.aws.credentials.provider"
    assert confs(planned("spark", tmp_path, KEYS))[key].endswith(
        "EnvironmentVariableCredentialsProvider"
    )
    providers = confs(planned("spark", tmp_path, ACCOUNT))[key]
    assert providers.split(",")[0].endswith(".WebIdentityTokenFileCredentialsProvider")
    assert "Instance" not in providers, "the node's identity is everybody's"


def test_executors_have_the_projects_keys_and_account(tmp_path: Path) -> None:
    spec = planned("spark", tmp_path, replace(KEYS, service_account="sales"))
    assert spec.pod is not None
    made = json.loads(spec.pod.files[TEMPLATE])["spec"]
    [container] = made["containers"]
    named = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert named["AWS_ACCESS_KEY_ID"] == {"name": "sales-s3", "key": "id"}
    assert named["AWS_SECRET_ACCESS_KEY"] == {"name": "sales-s3", "key": "key"}
    assert named["_SPARK_AUTH_SECRET"]["name"] == "run-1"
    assert made["serviceAccountName"] == "sales"
    assert made["automountServiceAccountToken"] is False


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
