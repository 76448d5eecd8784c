"""What holds for everything that the chart makes, with little said and with everything on."""

from __future__ import annotations

import json
import re

import pytest

from jobs.engines.executors import BLOCKS_PORT, DRIVER_PORT
from jobs.launchers.pods import DRIVER, GROUP, INSTALLATION, JOB, ROLE, WINDOW_PORT
from tests.support.charts import (
    CASES,
    CHART,
    KUBERNETES,
    Manifest,
    helm,
    matches,
    named,
    needs_helm,
    of_kind,
    pod_templates,
    render,
    title,
    values_of,
)

pytestmark = [needs_helm, pytest.mark.parametrize("case", CASES)]

SECRETS = ("pass-word", "dli_0123456789", "0123456789abcdef", "the-access-key", "the-secret-key")
SERVING = ("dli-api", "dli-worker", "dli-api-canary", "dli-worker-canary")
SPARK_CONNECT, SPARK_PAGES = 15002, 4040
PROJECTS = ("research", "sales")
CLUSTER_WIDE = ("ValidatingAdmissionPolicy", "PriorityClass", "ClusterRole", "ClusterRoleBinding")


def containers(template: Manifest) -> list[Manifest]:
    spec = template["spec"]
    found: list[Manifest] = [*spec.get("initContainers", []), *spec["containers"]]
    return found


def test_helm_finds_nothing_to_complain_about(case: str) -> None:
    words = ("--strict", "--kube-version", KUBERNETES, "-f", str(values_of(case)))
    told = helm("lint", str(CHART), *words)
    assert told.returncode == 0, told.stdout + told.stderr


def test_names_are_unique_and_in_a_namespace_that_is_said(case: str) -> None:
    manifests = render(case)
    found = [(title(each), each["metadata"].get("namespace")) for each in manifests]
    assert len(set(found)) == len(found)
    spaces = {space for name, space in found if not name.startswith(CLUSTER_WIDE)}
    assert spaces <= {None, "dli", "dli-runs"}


def test_pods_have_no_rights_on_their_node(case: str) -> None:
    for name, template in pod_templates(render(case)):
        pod = template["spec"]["securityContext"]
        assert (pod["runAsNonRoot"], pod["runAsUser"]) == (True, 185), name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "automountServiceAccountToken" in template["spec"], name
        assert template["spec"]["enableServiceLinks"] is False, name
        for container in containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_only_what_calls_the_cluster_has_a_token(case: str) -> None:
    tokens = {
        name
        for name, template in pod_templates(render(case))
        if template["spec"]["automountServiceAccountToken"]
    }
    assert tokens <= {"Job/dli-clear", *(f"Deployment/{name}" for name in SERVING)}
    without = pod_templates(render(case, runs__asPods=False))
    assert not any(each["spec"]["automountServiceAccountToken"] for _, each in without)


def test_images_have_a_version(case: str) -> None:
    images = {
        container["image"]
        for _, template in pod_templates(render(case))
        for container in containers(template)
    }
    assert images
    for image in images:
        assert image.rpartition("/")[2].partition(":")[2] not in ("", "latest"), image


def test_a_digest_goes_before_a_tag(case: str) -> None:
    digest = "sha256:" + "a" * 64
    images = {
        container["image"]
        for name, template in pod_templates(render(case, image__digest=digest))
        if "canary" not in name and "migrate" not in name
        for container in containers(template)
    }
    assert all(image.endswith(f"/dli@{digest}") or image == f"dli@{digest}" for image in images)


def test_resources_are_asked_for_and_bounded(case: str) -> None:
    for name, template in pod_templates(render(case)):
        for container in containers(template):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), name
            assert "memory" in resources["limits"], name


def test_what_is_written_goes_to_bounded_volumes(case: str) -> None:
    for name, template in pod_templates(render(case)):
        for volume in template["spec"].get("volumes", []):
            if "emptyDir" in volume:
                assert volume["emptyDir"].get("sizeLimit"), name


def test_the_service_is_probed(case: str) -> None:
    manifests = render(case)
    for name in SERVING[: 4 if case == "everything" else 2]:
        (container,) = named(manifests, "Deployment", name)["spec"]["template"]["spec"][
            "containers"
        ]
        paths = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        }
        assert paths == {
            "startupProbe": "/healthz",
            "readinessProbe": "/readyz",
            "livenessProbe": "/healthz",
        }


def test_a_pod_has_the_time_to_drain(case: str) -> None:
    manifests = render(case, drain__graceSeconds=200)
    told = named(manifests, "ConfigMap", "dli")["data"]["DLI_GRACE"]
    assert told == "200s"
    for name in SERVING[:2]:
        spec = named(manifests, "Deployment", name)["spec"]
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert waits == (10 if name == "dli-api" else 0)
        assert pod["terminationGracePeriodSeconds"] >= waits + 200 + 15
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_selectors_match_what_they_are_for(case: str) -> None:
    manifests = render(case)
    pods = {name: each["metadata"]["labels"] for name, each in pod_templates(manifests)}
    for each in of_kind(manifests, "Deployment", "DaemonSet"):
        selector = each["spec"]["selector"]["matchLabels"]
        found = [name for name, labels in pods.items() if matches(selector, labels)]
        assert found == [title(each)], "no two share a pod"
    for each in of_kind(manifests, "Service", "PodDisruptionBudget"):
        selector = each["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        assert any(matches(selector, labels) for labels in pods.values()), title(each)
    public = named(manifests, "Service", "dli")["spec"]["selector"]
    assert [name for name, labels in pods.items() if matches(public, labels)] == [
        "Deployment/dli-api"
    ], "a canary is not published by being there"


def test_an_autoscaler_is_alone_to_say_how_many(case: str) -> None:
    manifests = render(case)
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(manifests, "HorizontalPodAutoscaler")
    }
    for each in of_kind(manifests, "Deployment"):
        assert ("replicas" in each["spec"]) is (each["metadata"]["name"] not in scaled), title(each)


def test_secrets_are_in_secrets_only(case: str) -> None:
    for each in render(case):
        if each["kind"] != "Secret":
            text = json.dumps(each)
            assert not [secret for secret in SECRETS if secret in text], title(each)


def test_bindings_lead_to_roles_and_accounts(case: str) -> None:
    manifests = render(case)
    there = {
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace", "dli"))
        for each in manifests
    }
    for each in of_kind(manifests, "RoleBinding"):
        space = each["metadata"]["namespace"]
        assert ("Role", each["roleRef"]["name"], space) in there
        for subject in each["subjects"]:
            theirs = subject["name"] in PROJECTS  # they exist already
            assert theirs or ("ServiceAccount", subject["name"], subject["namespace"]) in there
    for name, template in pod_templates(manifests):
        account = template["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account, "dli") in there, name


def test_rights_are_named_one_by_one(case: str) -> None:
    for each in of_kind(render(case), "Role", "ClusterRole"):
        for rule in each["rules"]:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in words, title(each)
            assert not {"escalate", "bind", "impersonate"} & set(words), title(each)
    assert all(
        each["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
        for each in of_kind(render(case), "ClusterRole")
    )


def test_hooks_clear_themselves_away(case: str) -> None:
    for each in render(case):
        notes = each["metadata"].get("annotations") or {}
        if "helm.sh/hook" in notes:
            policy = notes["helm.sh/hook-delete-policy"].split(",")
            assert {"before-hook-creation", "hook-succeeded"} <= set(policy), title(each)


def test_hooks_need_nothing_of_the_release(case: str) -> None:
    """It is not there yet, or not any more."""
    manifests = render(case)
    hooks, release = [], set()
    for each in manifests:
        if "helm.sh/hook" in (each["metadata"].get("annotations") or {}):
            hooks.append(each)
        else:
            release.add(title(each))
    found = set()
    for name, template in pod_templates(hooks):
        found.add(name)
        text = json.dumps(template)
        for kind, pattern in (
            ("ConfigMap", r'"configMap(?:Ref|KeyRef)?": {[^}]*"name": "([^"]+)"'),
            ("Secret", r'"secret(?:Ref|KeyRef)?": {[^}]*"(?:name|secretName)": "([^"]+)"'),
            ("ServiceAccount", r'"serviceAccountName": "([^"]+)"'),
        ):
            needed = {f"{kind}/{each}" for each in re.findall(pattern, text)}
            assert needed & release == set(), name
    assert {"Job/dli-migrate", "Job/dli-clear"} <= found


def test_who_watches_reaches_every_pod(case: str) -> None:
    """The ServiceMonitor asks those of the API too, on the port that is their clients'."""
    clients, monitoring = [{"podSelector": {"matchLabels": {"app": name}}} for name in "cm"]
    closed = render(case, networkPolicy__clients=[clients], networkPolicy__monitoring=[monitoring])
    heard = {
        role: named(closed, "NetworkPolicy", f"dli-{role}")["spec"]["ingress"][0]["from"]
        for role in ("api", "worker")
    }
    assert heard == {"api": [clients, monitoring], "worker": [monitoring]}
    open_to_all = render(case, networkPolicy__clients=[], networkPolicy__monitoring=[monitoring])
    (rule,) = named(open_to_all, "NetworkPolicy", "dli-api")["spec"]["ingress"]
    assert "from" not in rule


def test_a_service_in_another_cluster_may_be_let_in(case: str) -> None:
    """There no pod has the labels of the service."""
    peer = {"ipBlock": {"cidr": "10.8.0.0/14"}}
    (rule,) = named(render(case, networkPolicy__moreIngress=[peer]), "NetworkPolicy", "dli-runs")[
        "spec"
    ]["ingress"]
    assert rule["from"][1:] == [peer]


def test_drivers_change_no_pod(case: str) -> None:
    """Another image in a pod of another project would read that project's Secrets."""
    (rule,) = named(render(case), "Role", "dli-driver")["rules"]
    assert {"patch", "update"} & set(rule["verbs"]) == set()


def test_who_asks_for_nodes_may_list_them(case: str) -> None:
    """Those that tell the capacity, and those that wait for it."""
    (binding,) = of_kind(render(case, runs__nodeCapacity=True), "ClusterRoleBinding")
    assert [each["name"] for each in binding["subjects"]] == ["dli-worker", "dli-api"]


def test_pods_are_made_anew_for_other_prices(case: str) -> None:
    """They are read at the start."""
    pods = [
        named(render(case, prices=text), "Deployment", "dli-api")["spec"]["template"]
        for text in ("# a", "# b")
    ]
    assert pods[0] != pods[1]


def test_hooks_end_in_a_mesh_as_well(case: str) -> None:
    """A side-car goes on, and with it the Job."""
    jobs = of_kind(render(case), "Job")
    assert {each["metadata"]["name"] for each in jobs} == {"dli-migrate", "dli-clear"}
    for each in jobs:
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert labels["sidecar.istio.io/inject"] == "false"


def test_runs_hear_the_service_only(case: str) -> None:
    manifests = render(case)
    policy = named(manifests, "NetworkPolicy", "dli-runs")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["ingress"]
    assert {each["port"] for each in rule["ports"]} == {SPARK_CONNECT, SPARK_PAGES, WINDOW_PORT}
    config = named(manifests, "ConfigMap", "dli")["data"]
    installation = config["DLI_KUBERNETES_INSTALLATION"]
    assert policy["podSelector"] == {"matchLabels": {INSTALLATION: installation}}
    space = "dli-runs" if case == "everything" else "dli"
    assert config["DLI_KUBERNETES_NAMESPACE"] == space
    (source,) = rule["from"]
    pods = dict(pod_templates(manifests))
    for name in SERVING[:2]:
        labels = pods[f"Deployment/{name}"]["metadata"]["labels"]
        assert matches(source["podSelector"]["matchLabels"], labels)
    assert all(rule.get("ports") for rule in policy["egress"]), "a rule without ports opens all"


def test_driver_and_executors_hear_each_other(case: str) -> None:
    policy = named(render(case), "NetworkPolicy", "dli-spark")["spec"]
    ports = [{"protocol": "TCP", "port": DRIVER_PORT, "endPort": BLOCKS_PORT}]
    (heard,), (told,) = policy["ingress"], policy["egress"]
    assert heard["ports"] == told["ports"] == ports
    assert heard["from"] == told["to"] == [{"podSelector": policy["podSelector"]}]


def test_accounts_of_projects_have_the_rights_of_drivers(case: str) -> None:
    """Each may be that of a Spark driver, which makes its executors."""
    subjects = named(render(case), "RoleBinding", "dli-driver")["subjects"]
    assert len({each["namespace"] for each in subjects}) == 1
    expected = ["dli-driver", *(PROJECTS if case == "everything" else ())]
    assert [each["name"] for each in subjects] == expected


def test_projects_are_kept_apart_if_that_is_wanted(case: str) -> None:
    """What the policy refuses is tried on a cluster, in ``tests/cluster/test_credentials.py``."""
    manifests = render(case)
    policies = of_kind(manifests, "ValidatingAdmissionPolicy")
    assert len(policies) == (case == "everything")
    for policy in policies:
        told = json.dumps(policy["spec"]["matchConditions"])
        for account in ("dli-driver", *PROJECTS):
            assert f"system:serviceaccount:dli-runs:{account}" in told
        asked = " ".join(each["expression"] for each in policy["spec"]["validations"])
        for label in (INSTALLATION, ROLE, DRIVER):
            assert f"variables.labels[?'{label}']" in asked
        binding = named(manifests, "ValidatingAdmissionPolicyBinding", policy["metadata"]["name"])
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        (rule,) = named(manifests, "Role", "dli-secrets-of-sales")["rules"]
        assert (rule["resourceNames"], rule["verbs"]) == (["sales-s3"], ["use"])
        assert not [each for each in manifests if each["metadata"]["name"].endswith("of-research")]


def test_only_spark_engines_hear_other_runs_on_their_port(case: str) -> None:
    """They ask for a token of their own; Sail does not."""
    manifests = render(case)
    engines = named(manifests, "NetworkPolicy", "dli-spark-engines")["spec"]
    assert engines["podSelector"]["matchLabels"][f"{GROUP}/engine"] == "spark"
    clients = named(manifests, "NetworkPolicy", "dli-spark-clients")["spec"]
    (target,) = clients["egress"][0]["to"]
    assert target["podSelector"] == engines["podSelector"]
    (source,) = engines["ingress"][0]["from"]
    assert source["podSelector"] == clients["podSelector"]
    assert source["podSelector"]["matchLabels"][ROLE] == JOB
    heard = [
        port["port"]
        for each in of_kind(manifests, "NetworkPolicy")
        if title(each) != "NetworkPolicy/dli-spark-engines"
        for rule in each["spec"].get("ingress", ())
        if any(INSTALLATION in str(source) for source in rule.get("from", ()))
        for port in rule["ports"]
    ]
    assert SPARK_CONNECT not in heard
