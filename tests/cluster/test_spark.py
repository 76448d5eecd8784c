"""A Spark driver of the image has executors by Spark's own Kubernetes scheduler."""

from __future__ import annotations

import json

from tests.support.cluster import Namespace, container, pod, wait
from tests.support.connect import asked
from tests.support.servers import S3Server

SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
RULES = [
    {
        "apiGroups": [""],
        "resources": ["pods", "services", "configmaps", "persistentvolumeclaims"],
        "verbs": ["create", "get", "list", "watch", "delete", "deletecollection", "patch"],
    }
]
META = {"metadata": {"name": "spark"}}
RBAC = "rbac.authorization.k8s.io"
ACCOUNT: list[dict[str, object]] = [
    {"apiVersion": "v1", "kind": "ServiceAccount", **META},
    {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": RULES, **META},
    {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "spark"},
        "subjects": [{"kind": "ServiceAccount", "name": "spark"}],
        **META,
    },
]


def confs(namespace: Namespace, s3: S3Server) -> dict[str, str]:
    """One small executor, and the object store. Credentials come by the environment."""
    return {
        "spark.driver.bindAddress": "$(POD_IP)",
        "spark.driver.host": "$(POD_IP)",
        "spark.executor.instances": "1",
        "spark.executor.memory": "512m",
        "spark.executorEnv.AWS_ACCESS_KEY_ID": s3.settings.access_key,
        "spark.executorEnv.AWS_SECRET_ACCESS_KEY": s3.settings.secret_key,
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials"
        ".EnvironmentVariableCredentialsProvider",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.endpoint": f"http://{s3.settings.endpoint}",
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.kubernetes.container.image": namespace.cluster.image,
        "spark.kubernetes.container.image.pullPolicy": "Never",
        "spark.kubernetes.driver.pod.name": "driver",
        "spark.kubernetes.executor.podTemplateFile": "/etc/spark/executor.json",
        "spark.kubernetes.executor.request.cores": "100m",
        "spark.kubernetes.namespace": namespace.name,
        "spark.sql.catalogImplementation": "in-memory",
    }


def launch_driver(namespace: Namespace, s3: S3Server, *application: str) -> None:
    """A pod ``driver`` that runs ``spark-submit`` in client mode."""
    image = namespace.cluster.image
    template = pod("executor", container(image, []))
    settings = {"executor.json": json.dumps(template)}
    config = {"apiVersion": "v1", "kind": "ConfigMap", **META, "data": settings}
    options = [f"--conf={key}={value}" for key, value in confs(namespace, s3).items()]
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    main = container(
        image,
        [
            "spark-submit",
            "--master",
            "k8s://https://kubernetes.default.svc",
            *options,
            *application,
        ],
        memory="1536Mi",
        env=[
            {"name": "POD_IP", "valueFrom": address},
            {"name": "AWS_ACCESS_KEY_ID", "value": s3.settings.access_key},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": s3.settings.secret_key},
            {"name": "SPARK_DRIVER_MEMORY", "value": "768m"},
        ],
        readinessProbe={"tcpSocket": {"port": 15002}, "periodSeconds": 1},
        volumeMounts=[
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "settings", "mountPath": "/etc/spark"},
        ],
    )
    volumes = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "spark"}},
    ]
    driver = pod("driver", main, serviceAccountName="spark", volumes=volumes)
    namespace.create(*ACCOUNT, config, driver)


def test_a_connect_driver_computes_on_its_executor(namespace: Namespace, pod_s3: S3Server) -> None:
    bucket = pod_s3.bucket()
    launch_driver(namespace, pod_s3, "--class", SERVER, "spark-internal")
    address = f"{namespace.ready('driver')}:15002"
    rows = asked(
        address,
        f"INSERT OVERWRITE DIRECTORY 's3a://{bucket}/t' USING parquet "
        "SELECT id, id % 7 k FROM range(1000)",
        f"SELECT k, sum(id) s FROM parquet.`s3a://{bucket}/t` GROUP BY k ORDER BY k LIMIT 1",
    )
    assert rows == [{"k": 0, "s": sum(range(0, 1000, 7))}]
    executors = namespace.get("pods", "-l", "spark-role=executor")["items"]
    assert [each["status"]["phase"] for each in executors] == ["Running"]
    [main] = executors[0]["spec"]["containers"]
    assert main["securityContext"]["readOnlyRootFilesystem"]
    namespace.kubectl("delete", "pod", "driver", "--wait=true")

    def gone() -> bool:
        return not namespace.get("pods", "-l", "spark-role=executor")["items"]

    wait(gone, 180.0, lambda: namespace.kubectl("get", "pods"))  # the cluster's garbage collection
