"""Statements and batches by the whole service, on engines, drivers and executors that are pods."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from minio import Minio

from benchmarks.queries import duckdb_queries, open_duckdb, spark_query
from benchmarks.tpch import TABLES, generate
from dli.client import Client
from tests.cluster.test_spark import ACCOUNT
from tests.e2e.test_tpch import QUOTIENTS, Rows, assert_same, rows_of
from tests.support.cluster import Cluster, Namespace, wait
from tests.support.servers import S3Server
from tests.support.service import in_process

pytestmark = [
    pytest.mark.xdist_group("cluster-engines"),
    pytest.mark.spark,
    pytest.mark.timeout(900),
]

MIB = 1 << 20
SECONDS = 300.0  #: for a Spark that starts on a machine which does much else
EXECUTORS, DRIVERS = "dli.dev/role=executor", "dli.dev/role=job"
SMALL = {"cores": 1, "memory": "1536MiB"}

COUNTING = """SELECT count(*) AS n FROM range({0}) a CROSS JOIN range({0}) b
WHERE (a.id * 31 + b.id * 17) % 1000003 = 5"""
SOME, LONG = COUNTING.format(15_000), COUNTING.format(60_000)

PROGRAM = """
import os, sys, time
from pyspark.sql import SparkSession
from pyspark import SparkFiles
import helper
from dli_batch import session

spark = session()
context = spark.sparkContext

def where(number):
    import helper  # reaches executors as a file of the batch
    return [(os.environ["HOSTNAME"], os.environ["GREETING"], helper.twice(number))]

found = context.parallelize(range(40), 8).flatMap(where).collect()
print("sum", sum(each[2] for each in found))
print("hosts", len({each[0] for each in found}), "greeting", {each[1] for each in found})
print("rows", spark.table("nation").count())
spark.table("nation").write.parquet(sys.argv[1])
print("written", spark.read.parquet(sys.argv[1]).count(), flush=True)
time.sleep(float(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The service of this module, and where it starts pods."""

    client: Client
    namespace: Namespace
    bucket: str

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.namespace.get("pods", "-l", selector)["items"]
        return found

    def names(self, selector: str) -> list[str]:
        return [each["metadata"]["name"] for each in self.pods(selector)]

    def log(self, job: dict[str, Any]) -> str:
        with self.client.log(job["id"]) as parts:
            return b"".join(parts).decode()

    def eventually(self, fact: Callable[[], bool], seconds: float = 90.0) -> None:
        wait(fact, seconds, lambda: self.namespace.kubectl("get", "pods"))


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    bucket = pod_s3.bucket()
    folder = generate("0.01")
    store = Minio(
        pod_s3.settings.endpoint,
        access_key=pod_s3.settings.access_key,
        secret_key=pod_s3.settings.secret_key,
        secure=False,
    )
    for table in TABLES:
        store.fput_object(bucket, f"tpch/{table}.parquet", str(folder / f"{table}.parquet"))
    with cluster.namespace(f"engines-{os.urandom(3).hex()}") as namespace:
        namespace.create(*ACCOUNT)
        namespace.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=180s")
        settings: dict[str, Any] = {
            "launcher": "kubernetes",
            "kubernetes_kubeconfig": cluster.kubeconfig,
            "kubernetes_image": cluster.image,
            "kubernetes_namespace": namespace.name,
            "kubernetes_pull_policy": "Never",
            "kubernetes_service_account": "spark",
            "warehouse": f"s3://{bucket}/warehouse",
            "buckets": (bucket,),
            "s3_endpoint": pod_s3.settings.endpoint,
            "s3_access_key": pod_s3.settings.access_key,
            "s3_secret_key": pod_s3.settings.secret_key,
            "s3_secure": False,
            "engine_cores": 1,
            "engine_start_timeout": f"{SECONDS:.0f}s",
            "sail_memory": 1024 * MIB,
            "spark_memory": 1792 * MIB,
            "spark_executors": 2,
            "spark_executor_cores": 1,
            "spark_executor_memory": 1536 * MIB,
        }
        home = tmp_path_factory.mktemp("home")
        with in_process(home, **settings) as service, Client(service.url, service.token) as client:
            client.update_queue("default", overcommit=1000)  # the nodes are small
            client.create_database("tpch")
            for table in TABLES:
                client.register_table(f"tpch.{table}", f"s3://{bucket}/tpch/{table}.parquet")
            yield Here(client=client, namespace=namespace, bucket=bucket)
        namespace.emptied()  # the service takes all its pods with it


@pytest.fixture(scope="module")
def reference() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_duckdb()
    for table in TABLES:
        path = generate("0.01") / f"{table}.parquet"
        connection.execute(f"CREATE VIEW {table} AS FROM '{path}'")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def texts(reference: duckdb.DuckDBPyConnection) -> dict[int, str]:
    return duckdb_queries(reference)


def ask(here: Here, sql: str, engine: str) -> Rows:
    statement = here.client.run(sql, database="tpch", engine=engine, timeout="10m")
    with here.client.download(statement.id, "arrow") as pieces:
        return rows_of(pa.ipc.open_stream(b"".join(pieces)).read_all())


@pytest.mark.parametrize("query", range(1, 23))
@pytest.mark.parametrize("engine", ["sail", "spark"])
def test_pods_answer_as_duckdb_does(
    here: Here,
    reference: duckdb.DuckDBPyConnection,
    texts: dict[int, str],
    engine: str,
    query: int,
) -> None:
    found = ask(here, spark_query(texts[query]), engine)
    expected = rows_of(reference.sql(texts[query]).to_arrow_table())
    assert_same(found, expected, quotients=QUOTIENTS.get(query, set()))


def test_spark_writes_a_table_that_sail_reads(here: Here) -> None:
    here.client.run(
        "CREATE TABLE made AS SELECT n_regionkey, count(*) c FROM nation GROUP BY 1",
        database="tpch",
        engine="spark",
        timeout="10m",
    )
    assert ask(here, "SELECT sum(c) FROM made", "sail") == [(25,)]


def test_executors_have_no_rights_and_are_metered(here: Here) -> None:
    statement = here.client.run(SOME, engine="spark", timeout="10m")
    [pod, *_] = here.pods(EXECUTORS)
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert pod["metadata"]["finalizers"] == ["dli.dev/final"]
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "serviceaccount" not in json.dumps(container["volumeMounts"])
    assert "AWS" not in json.dumps([each.get("value") for each in container["env"]])
    alone = statement.timings_ms["bind"] + statement.timings_ms["execute"]  # the driver's one CU
    assert statement.usage["cu_milliseconds"] > 1.8 * alone, "its executor's are counted too"


def test_statement_outlives_an_executor(here: Here) -> None:
    statement = here.client.submit(LONG, wait="0s", engine="spark", timeout="10m")
    here.eventually(lambda: here.client.statement(statement.id).state == "running", SECONDS)
    threading.Event().wait(2.0)
    [victim, *_] = here.names(EXECUTORS)
    here.namespace.kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false")
    done = here.client.wait(statement)
    assert done.state == "finished", done
    here.eventually(lambda: victim not in here.names(EXECUTORS))


@dataclass(frozen=True, slots=True)
class Written:
    """A batch with two executors, a module, a variable and a table."""

    here: Here
    folder: Path
    name: str
    seconds: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def submit(self) -> dict[str, Any]:
        program, helper = self.folder / "program.py", self.folder / "helper.py"
        program.write_text(PROGRAM)
        helper.write_text("def twice(number):\n    return 2 * number\n")
        return dict(
            self.here.client.submit_batch(
                program,
                py_files=[helper],
                arguments=[f"s3a://{self.here.bucket}/{self.name}", str(self.seconds)],
                environment={"GREETING": "hidden-greeting"},
                tables=["tpch.nation"],
                driver=SMALL,
                executor=SMALL,
                executors=2,
                timeout="10m",
                **self.options,
            )
        )


def test_batch_computes_on_two_executors(here: Here, tmp_path: Path) -> None:
    job = Written(here, tmp_path, "two").submit()
    done = here.client.wait_job(job)
    log = here.log(job)
    assert done["state"] == "finished", (done, log)
    assert "sum 1560" in log
    assert "hosts 2 greeting {'hidden-greeting'}" in log
    assert "rows 25" in log
    assert "written 25" in log
    [attempt] = here.client.job(job["id"])["attempts"]
    assert attempt["facts"]["spark"]["totals"]["tasks"] > 0, "the event log came back"
    here.eventually(lambda: not here.names(f"dli.dev/job={job['id']}"))


def test_batch_whose_driver_is_lost_runs_again(here: Here, tmp_path: Path) -> None:
    job = Written(here, tmp_path, "lost", 30.0, {"retry": {"attempts": 2}}).submit()
    of_job = f"dli.dev/job={job['id']}"
    here.eventually(lambda: len(here.names(f"{EXECUTORS},{of_job}")) == 2, SECONDS)
    first = here.names(of_job)
    [driver] = here.names(f"{DRIVERS},{of_job}")
    here.namespace.kubectl("delete", "pod", driver, "--grace-period=0", "--force", "--wait=false")
    here.eventually(lambda: not set(first) & set(here.names(of_job)), SECONDS)
    here.eventually(lambda: here.client.job(job["id"])["attempt"] == 2)
    here.client.cancel_job(job["id"])
    assert here.client.wait_job(job)["state"] == "cancelled"
    here.eventually(lambda: not here.names(of_job))


def test_batch_is_a_client_of_the_queues_engine(here: Here, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        "from dli_batch import session\nprint('rows', session().table('nation').count())\n"
    )
    job = here.client.submit_batch(
        program, session="connect", tables=["tpch.nation"], timeout="10m"
    )
    done = here.client.wait_job(job)
    log = here.log(job)
    assert (done["state"], "rows 25" in log) == ("finished", True), (done, log)
