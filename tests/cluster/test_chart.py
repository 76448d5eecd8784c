"""The chart on a real cluster: taken by its API server, installed, upgraded under load, gone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dli.migrations.current import head
from jobs.launchers.clearing import clear
from jobs.launchers.cluster import Cluster as Api
from jobs.launchers.pods import FINALIZER, ClusterSettings
from storage.base.clock import SystemClock
from tests.support import foreign_kinds
from tests.support.charts import CHART, helm, needs_helm, render
from tests.support.cluster import Cluster, ClusterError, Namespace, container, pod, wait
from tests.support.images import LATER, LATER_SCHEMA, later_image
from tests.support.servers import S3Server, postgres

pytestmark = [needs_helm, pytest.mark.timeout(1200)]

TOKEN = "dli_" + "c" * 40
FOREIGN = {"VirtualService", "DestinationRule", "Gateway", "HTTPRoute", "ServiceMonitor"}
#: Pods that the tests make.
TESTS = (
    "first",
    "second",
    "third",
    "work",
    "here",
    "there",
    "endless",
    "ask-dli",
    "ask-dli-canary",
)
#: What a namespace has by itself.
NATIVE = ("configmap/kube-root-ca.crt", "serviceaccount/default")


@pytest.fixture(scope="module")
def foreign(cluster: Cluster) -> Iterator[bool]:
    """Whether the cluster knows the kinds of Istio, Gateway API and Prometheus meanwhile."""
    files = [word for path in foreign_kinds.definitions() for word in ("-f", str(path))]
    if files:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", *files)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=180s", *files)
    yield bool(files)
    if files and cluster.run is not None:  # a given cluster may have had them before
        cluster.kubectl("delete", "--ignore-not-found", "--wait=false", *files)


@contextmanager
def namespaces(cluster: Cluster) -> Iterator[tuple[Namespace, Namespace]]:
    """One for the service and one for its runs."""
    end = os.urandom(3).hex()
    with (
        cluster.namespace(f"chart-{end}") as service,
        cluster.namespace(f"chart-runs-{end}") as runs,
    ):
        yield service, runs


@pytest.mark.parametrize("case", ["minimal", "everything"])
def test_the_api_server_takes_all_of_it(cluster: Cluster, foreign: bool, case: str) -> None:
    with namespaces(cluster) as (service, runs):
        manifests = render(case, namespace=service.name, runs__namespace=runs.name)
        known = [each for each in manifests if foreign or each["kind"] not in FOREIGN]
        for each in known:
            each["metadata"].setdefault("namespace", service.name)
        # A misspelt field is refused, and a pod that the namespace's level would refuse is told.
        strict = ("--dry-run=server", "--validate=strict", "--warnings-as-errors")
        told = cluster.kubectl("create", *strict, "-f", "-", given=known)
        assert len(told.splitlines()) == len(known)
    if len(known) < len(manifests):
        left = sorted({each["kind"] for each in manifests if each not in known})
        pytest.skip(f"without Go's module proxy these were only rendered: {', '.join(left)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The chart's release ``dli`` in two namespaces, over servers of this machine."""

    service: Namespace
    runs: Namespace
    values: Path
    database: str  #: its URL for this machine

    def helm(self, *words: str) -> str:
        """What helm prints; raises ``ClusterError``."""
        kubeconfig = self.service.cluster.kubeconfig
        done = helm(*words, "--namespace", self.service.name, kubeconfig=kubeconfig)
        if done.returncode:
            raise ClusterError(f"{done.stderr}\n{self.why()}")
        return done.stdout

    def bring(self, verb: str, *sets: str) -> None:
        """Install or upgrade, and wait until all is ready."""
        words = [word for each in sets for word in ("--set", each)]
        self.helm(
            verb, "dli", str(CHART), "-f", str(self.values), *words, "--wait", "--timeout", "8m"
        )

    def why(self) -> str:
        """What the cluster says of the pods, for those who look for a cause."""
        parts = [self.service.kubectl("get", "pods,jobs,events", "-o", "wide")]
        for role in ("api", "worker", "migrate"):
            selector = f"app.kubernetes.io/component={role}"
            parts.append(self.service.kubectl("logs", "-l", selector, "--tail=30", "--prefix"))
        return "\n".join(parts)

    def schema(self) -> str:
        """The schema that the database has."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row is not None
        return str(row[0])

    def images(self) -> set[str]:
        """Those of all pods of the service that are not on their way out."""
        pods = self.service.get("pods", "-l", "app.kubernetes.io/component in (api,worker)")[
            "items"
        ]
        return {
            each["spec"]["containers"][0]["image"].rpartition(":")[2]
            for each in pods
            if "deletionTimestamp" not in each["metadata"]
        }


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Of the tests of a release, a step each."""
    with prepared(cluster, pod_s3, tmp_path_factory.mktemp("chart")) as made:
        yield made


@contextmanager
def prepared(cluster: Cluster, pod_s3: S3Server, folder: Path) -> Iterator[Installation]:
    """Everything that an installation needs, not installed yet."""
    assert cluster.host is not None  # pod_s3 has looked
    with namespaces(cluster) as (service, runs), postgres(cluster.host) as url:
        repository, _, tag = cluster.image.rpartition(":")
        values = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "settings": {
                "warehouse": f"s3://{pod_s3.bucket()}/dli",
                "s3_endpoint": pod_s3.settings.endpoint,
                "s3_secure": False,
                "engine_cores": 1,
            },
            "secret": {"existing": "access"},
            "api": {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}},
            "worker": {"resources": {"requests": {"cpu": "50m", "memory": "512Mi"}}},
            "drain": {"endpointsSeconds": 5, "graceSeconds": 30},
            "runs": {"namespace": runs.name},
        }
        secret = {
            "DLI_DATABASE_URL": url,
            "DLI_ADMIN_TOKEN": TOKEN,
            "DLI_S3_ACCESS_KEY": pod_s3.settings.access_key,
            "DLI_S3_SECRET_KEY": pod_s3.settings.secret_key,
        }
        service.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "access"},
                "stringData": secret,
            }
        )
        path = folder / "values.json"
        path.write_text(json.dumps(values))
        try:
            yield Installation(service=service, runs=runs, values=path, database=url)
        finally:
            service.kubectl("delete", "deployments", "--all", "--cascade=foreground")
            clear_runs(runs)


def clear_runs(namespace: Namespace) -> None:
    """A namespace with our finalizers in it would stay for ever."""
    reached = ClusterSettings(kubeconfig=namespace.cluster.kubeconfig, namespace=namespace.name)
    no_time, soon = timedelta(0), timedelta(seconds=60)
    clear(Api(reached), "dli", settle=no_time, limit=soon, clock=SystemClock())


_TOKEN = {
    "name": "TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "access", "key": "DLI_ADMIN_TOKEN"}},
}
#: Asks again and again, and counts what did not go well, until it is told to stop.
_LOAD = """
import collections, json, os, pathlib, sys, threading
from dli.client import Client

counts, lock, stopped = collections.Counter(), threading.Lock(), threading.Event()
stop = pathlib.Path("/tmp/stop")

def note(what):
    with lock:
        counts[what] += 1

def ask(number):
    with Client(sys.argv[1], os.environ["TOKEN"], patient=False) as client:
        while not stop.exists():
            try:
                made = client.submit("SELECT count(*) AS n FROM range(2000000)", wait="0s")
            except Exception as error:
                note(f"submit: {error!r}"[:300])
                stopped.wait(0.2)
                continue
            note("submitted")
            while made.state not in ("finished", "failed", "cancelled"):
                try:
                    made = client.statement(made.id, wait="5s")
                except Exception as error:
                    note(f"poll: {error!r}"[:300])
                    if stop.exists():
                        break
                    stopped.wait(0.2)
            note(made.state)

threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
[each.start() for each in threads]
while any(each.is_alive() for each in threads):
    [each.join(1) for each in threads]
    with lock:
        print(json.dumps(counts), flush=True)
"""


@contextmanager
def load(installation: Installation, name: str) -> Iterator[Callable[[], dict[str, int]]]:
    """Statements from a pod to the Service, all the time; what is given tells the counts so far."""
    service = installation.service
    main = container(
        service.cluster.image,
        ["python", "-c", _LOAD, "http://dli"],
        env=[_TOKEN],
    )
    service.create(pod(name, main))
    service.ready(name)

    def counts() -> dict[str, int]:
        lines = service.log(name).splitlines()
        found: dict[str, int] = json.loads(lines[-1]) if lines else {}
        return found

    wait(lambda: counts().get("finished", 0) > 3, 240, installation.why)
    try:
        yield counts
    finally:
        service.kubectl("exec", name, "--", "touch", "/tmp/stop")
        service.ended(name, within=240)


def under_load(installation: Installation, name: str, change: Callable[[], object]) -> None:
    """Make a change while statements come, go and wait; none is lost, and no request fails."""
    with load(installation, name) as counts:
        change()
        before = counts()["finished"]
        wait(lambda: counts()["finished"] > before + 3, 240, installation.why)
    told = counts()
    assert told.keys() == {"submitted", "finished"}, told
    assert told["submitted"] == told["finished"]


class TestRelease:
    """One release from its install to its end, a step a test."""

    def test_it_installs_and_runs_a_statement(self, installation: Installation) -> None:
        installation.bring("install")
        assert installation.schema() == head()
        under_load(installation, "first", lambda: None)
        assert installation.service.get("jobs")["items"] == [], "the hook has cleared itself away"

    def test_it_is_upgraded_under_load(self, installation: Installation) -> None:
        image = later_image(installation.service.cluster)
        if image is None:
            pytest.skip("DLI_TEST_LATER_IMAGE does not name a later version")
        tag = image.rpartition(":")[2]
        under_load(
            installation, "second", lambda: installation.bring("upgrade", f"image.tag={tag}")
        )
        wait(lambda: installation.images() == {tag}, 240, installation.why)
        assert installation.schema() == LATER_SCHEMA

    def test_it_is_rolled_back_under_load(self, installation: Installation) -> None:
        back = ("rollback", "dli", "1", "--wait", "--timeout", "8m")
        under_load(installation, "third", lambda: installation.helm(*back))
        wait(lambda: LATER not in installation.images(), 240, installation.why)
        assert installation.schema() == LATER_SCHEMA, "older code runs on it"

    def test_a_canary_is_there_and_not_published(self, installation: Installation) -> None:
        installation.bring("upgrade", "canary.enabled=true", f"canary.image.tag={LATER}")
        assert LATER in installation.images()
        assert answering(installation, "dli") == {"0.1.0"}
        assert answering(installation, "dli-canary") == {LATER}

    def test_it_leaves_nothing(self, installation: Installation) -> None:
        uninstall(installation)
        for namespace in (installation.service, installation.runs):
            wait_empty(namespace)
        label = "app.kubernetes.io/instance=dli"
        kinds = "clusterroles,clusterrolebindings,priorityclasses"
        assert installation.service.cluster.get(kinds, "-l", label)["items"] == []


def test_runs_as_pods_go_with_the_release(
    cluster: Cluster, pod_s3: S3Server, tmp_path: Path
) -> None:
    with (
        prepared(cluster, pod_s3, tmp_path) as installation,
        second_cluster(installation) as eu,
    ):
        commands = "settings.task_commands={echo,sleep}"
        small = ("settings.spark_memory=1792MiB", "settings.spark_executor_memory=1536MiB")
        one = ("settings.spark_executors=1", "settings.spark_executor_cores=1")
        two = ("runs.clusters.eu.secret=eu", f"runs.clusters.eu.namespace={eu.name}")
        installation.bring("install", commands, "settings.engine_idle=5s", *small, *one, *two)
        assert worked(installation) == {"sail": 42, "spark": 42, "batch": "finished", "sum": "4950"}
        hello = ("echo", "hello")
        for name, where in (("here", "default"), ("there", "eu")):
            told = submitted(installation, name, hello, cluster=where, until="finished")
            assert told == {"state": "finished", "error": None, "cluster": where}
        submitted(installation, "endless", ("sleep", "3600"), cluster="eu", until="running")
        pods = eu.get("pods")["items"]
        assert [each["metadata"].get("finalizers") for each in pods] == [[FINALIZER]]
        uninstall(installation)
        for namespace in (installation.service, installation.runs):
            wait_empty(namespace)
        wait(lambda: eu.get("pods,secrets")["items"] == [], 180, lambda: eu.kubectl("get", "pods"))


@contextmanager
def second_cluster(installation: Installation) -> Iterator[Namespace]:
    """A namespace that is another cluster to the release, made ready as the guide says."""
    cluster = installation.service.cluster
    with cluster.namespace(f"chart-eu-{os.urandom(3).hex()}") as eu:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "eu"}}
        whole = cluster.kubectl("config", "view", "--raw", "--flatten")
        installation.service.create({**secret, "stringData": {"kubeconfig": whole}})
        made = installation.values.with_name("eu.yaml")
        rendered = ("template", "dli", str(CHART), "-f", str(installation.values))
        there = ("--set", f"runs.namespace={eu.name}", "--show-only", "templates/runs/*.yaml",
                 "--kube-version", "1.34")  # fmt: skip
        made.write_text(installation.helm(*rendered, *there))
        eu.kubectl("apply", "-f", str(made))
        try:
            yield eu
        finally:
            clear_runs(eu)


_SUBMIT = """
import json, os, sys, threading
from dli.client import Client

with Client(sys.argv[1], os.environ["TOKEN"]) as client:
    client.update_queue("default", pods={"clusters": {sys.argv[3]: 1}})
    job = client.submit_task(sys.argv[4:])
    while not job["terminal"] and job["state"] != sys.argv[2]:
        threading.Event().wait(0.5)
        job = client.job(job["id"])
where = job["attempts"][-1]["cluster"]
print(json.dumps({"state": job["state"], "error": job.get("error"), "cluster": where}))
"""


#: A statement on each engine, and a batch with an executor.
_WORK = """
import json, os, pathlib, sys
from dli.client import Client

program = pathlib.Path("/tmp/app.py")
program.write_text(
    "from pyspark.sql import SparkSession\\n"
    "context = SparkSession.builder.getOrCreate().sparkContext\\n"
    "print('sum', context.parallelize(range(100), 4).sum(), flush=True)\\n"
)
told = {}
with Client(sys.argv[1], os.environ["TOKEN"]) as client:
    for engine in ("sail", "spark"):
        told[engine] = client.query("SELECT 20 + 22 AS n", engine=engine).to_pylist()[0]["n"]
    size = {"cores": 1, "memory": "1536MiB"}
    job = client.submit_batch(program, driver=size, executor=size, executors=1)
    job = client.wait_job(job)
    told["batch"] = job["state"] if job["state"] == "finished" else str(job["error"])
    with client.log(job["id"]) as parts:
        log = b"".join(parts).decode()
    told["sum"] = next((line[4:] for line in log.splitlines() if line.startswith("sum ")), log)
print(json.dumps(told))
"""


def worked(installation: Installation) -> dict[str, object]:
    """What came of a statement on each engine, and of a batch."""
    namespace = installation.service
    words = ["python", "-c", _WORK, "http://dli"]
    main = container(namespace.cluster.image, words, memory="512Mi", env=[_TOKEN])
    namespace.create(pod("work", main))
    try:
        found: dict[str, object] = json.loads(namespace.ended("work", within=400))
    except ClusterError as error:
        raise ClusterError(f"{error}\n{installation.why()}") from error
    return found


def submitted(
    installation: Installation, name: str, command: Sequence[str], *, cluster: str, until: str
) -> dict[str, object]:
    """Hand a task in to a queue of one cluster, and wait for a state or the end; what became."""
    namespace = installation.service
    words = ["python", "-c", _SUBMIT, "http://dli", until, cluster, *command]
    namespace.create(pod(name, container(namespace.cluster.image, words, env=[_TOKEN])))
    try:
        found: dict[str, object] = json.loads(namespace.ended(name, within=240))
    except ClusterError as error:
        raise ClusterError(f"{error}\n{installation.why()}") from error
    return found


def uninstall(installation: Installation) -> None:
    """Remove the release, and wait for the last of its pods."""
    whole = ("--wait", "--cascade", "foreground", "--timeout", "5m")
    installation.helm("uninstall", "dli", *whole)


def answering(installation: Installation, service: str) -> set[str]:
    """The versions that answer at a Service."""
    script = (
        "import json, urllib.request as u\n"
        f"ask = lambda: json.load(u.urlopen('http://{service}/openapi.json', timeout=120))\n"
        "print(json.dumps(sorted({ask()['info']['version'] for _ in range(10)})))\n"
    )
    namespace, name = installation.service, f"ask-{service}"
    namespace.create(pod(name, container(namespace.cluster.image, ["python", "-c", script])))
    return set(json.loads(namespace.ended(name)))


def wait_empty(namespace: Namespace) -> None:
    """Wait until nothing of the release is left in a namespace."""
    wait(lambda: not leftovers(namespace), 180, lambda: str(sorted(leftovers(namespace))))


def leftovers(namespace: Namespace) -> set[str]:
    """What is in a namespace, but what it has by itself and what tests put there."""
    kinds = namespace.cluster.kubectl(
        "api-resources", "--verbs=list", "--namespaced", "-o", "name"
    ).split()
    wanted = ",".join(sorted({kind for kind in kinds if not kind.startswith("events")}))
    found = namespace.kubectl("get", wanted, "-o", "name", "--ignore-not-found").split()
    ours = {"secret/access", "secret/eu", *(f"pod/{name}" for name in TESTS)}
    return set(found) - ours - set(NATIVE)
