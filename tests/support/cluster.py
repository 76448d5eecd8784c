"""A Kubernetes cluster for tests: ours (the scripts in tests/cluster) or one that is given.

``DLI_TEST_KUBECONFIG`` names the kubeconfig of a given one; its nodes must have the image
``DLI_TEST_IMAGE`` (``DLI_TEST_SECOND_IMAGE`` under another name), and pods must reach this machine
at ``DLI_TEST_POD_HOST``. ``python -m tests.support.cluster up`` and ``down`` are what ``make
cluster-up`` and ``cluster-down`` call.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "cluster"
IMAGE = "localhost/dli:dev"
HOST = "10.97.0.1"  #: of this machine, for pods of our cluster
BUILD_SECONDS = 3600.0
_TICK = 0.1


class ClusterError(Exception):
    """A command of the cluster failed; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster. ``host``: where pods reach servers of this machine; None: nobody knows."""

    kubeconfig: Path
    image: str
    host: str | None
    run: Path | None  #: state of our own cluster: pid files, logs, commands; None: not ours

    def kubectl(self, *arguments: str, given: object = None) -> str:
        """What kubectl prints. ``given``: an object, or several, for ``-f -``.

        Raises ``ClusterError`` with what it complains of.
        """
        documents = given if isinstance(given, list) else [given]
        text = "\n".join(json.dumps(each) for each in documents) if given is not None else None
        done = subprocess.run(
            [_kubectl(), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of them, as ``kubectl get -o json`` gives it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    @contextlib.contextmanager
    def namespace(self, name: str, *, level: str = "restricted") -> Iterator[Namespace]:
        """A namespace that is gone, with all in it, after the block; a run that was killed may have
        left one of its name, which goes first."""
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=180s")
        labels = {"pod-security.kubernetes.io/enforce": level}
        metadata = {"name": name, "labels": labels}
        self.kubectl(
            "create",
            "-f",
            "-",
            given={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
        )
        try:
            yield Namespace(cluster=self, name=name)
        finally:
            forced = ("--grace-period=0", "--force", "--wait=false")
            self.kubectl("delete", "pods", "--all", "-n", name, *forced)
            for each in self.get("pods", "-n", name)["items"]:  # that a failed test left unsettled
                with contextlib.suppress(ClusterError):
                    free = '{"metadata": {"finalizers": null}}'
                    self.kubectl("patch", "pod", each["metadata"]["name"], "-n", name, "-p", free)
            self.kubectl("delete", "namespace", name, "--wait=false")

    def processes(self) -> tuple[str, ...]:
        """Names of our cluster's processes: ``apiserver``, ``node-1-kubelet``, …"""
        return tuple(sorted(path.name for path in (self._state() / "pid").iterdir()))

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one of our cluster's processes; returns when SIGKILL has ended it."""
        pid = int((self._state() / "pid" / name).read_text().split()[0])
        os.kill(pid, how)
        if how is signal.SIGKILL:
            wait(lambda: not _lives(pid), 120.0, lambda: f"{name} does not die")

    def start(self, name: str) -> None:
        """Start a process again that was killed, with the same command line."""
        self._state()
        subprocess.run([SCRIPTS / "start", name], check=True)

    def _state(self) -> Path:
        if self.run is None:
            raise ClusterError("a given cluster's processes are not ours to touch")
        return self.run


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """One namespace of a cluster, and the short ways of a test."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, given: object = None) -> str:
        """As ``Cluster.kubectl``, in this namespace."""
        return self.cluster.kubectl("-n", self.name, *arguments, given=given)

    def get(self, *arguments: str) -> dict[str, Any]:
        """As ``Cluster.get``, in this namespace."""
        return self.cluster.get("-n", self.name, *arguments)

    def create(self, *objects: Mapping[str, object]) -> None:
        """Create objects; raises ``ClusterError`` when one is refused."""
        self.kubectl("create", "-f", "-", given=list(objects))

    def emptied(self, kinds: str = "pods", *, within: float = 180.0) -> None:
        """Wait until nothing of these kinds is left: what was deleted is there for seconds yet."""
        wait(lambda: not self.get(kinds)["items"], within, lambda: self.kubectl("get", kinds))

    def pod(self, name: str) -> dict[str, Any]:
        """The pod as it is now."""
        return self.get("pod", name)

    def phase(self, name: str) -> str:
        """``Pending``, ``Running``, ``Succeeded`` or ``Failed``."""
        return str(self.pod(name)["status"].get("phase", "Pending"))

    def ended(self, name: str, *, within: float = 240.0) -> str:
        """Wait for the pod's end and give its log; raises ``ClusterError`` unless it succeeded."""
        wait(lambda: self.phase(name) in ("Succeeded", "Failed"), within, lambda: self.why(name))
        if self.phase(name) != "Succeeded":
            raise ClusterError(self.why(name))
        return self.log(name)

    def ready(self, name: str, *, within: float = 240.0) -> str:
        """Wait until the pod's probes succeed, and give its address; raises when it ends before."""

        def is_ready() -> bool:
            status = self.pod(name)["status"]
            if status.get("phase") in ("Succeeded", "Failed"):
                raise ClusterError(self.why(name))
            conditions = status.get("conditions", ())
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        wait(is_ready, within, lambda: self.why(name))
        return str(self.pod(name)["status"]["podIP"])

    def log(self, name: str) -> str:
        """What the pod's container has written."""
        return self.kubectl("logs", name, "--tail=-1")

    def why(self, name: str) -> str:
        """All that helps to understand a pod: its state, its events, the end of its log."""
        with contextlib.suppress(ClusterError):
            parts = [
                json.dumps(self.pod(name)["status"], indent=1),
                self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}"),
            ]
            with contextlib.suppress(ClusterError):
                parts.append(self.log(name)[-4000:])
            return "\n".join(parts)
        return f"there is no pod {name}"


def wait(done: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
    """Ask until it is done; raises ``ClusterError`` with what ``why`` says after ``seconds``."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise ClusterError(f"not within {seconds:g} s: {why()}")
        pause.wait(_TICK)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def program(name: str) -> str | None:
    """The path of a program that our cluster was built with, or that is installed; else None."""
    ours = _cache() / "bin" / name
    return str(ours) if ours.exists() else _program(name)


def container(
    image: str, command: Sequence[str], *, memory: str = "256Mi", cpu: str = "100m", **more: object
) -> dict[str, object]:
    """A container that the restricted level admits, with a root file system that is read-only."""
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(command),
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 185,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        **more,
    }


def pod(name: str, main: Mapping[str, object], **more: object) -> dict[str, object]:
    """A pod of one container that is not started again, with an empty ``/tmp``."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "containers": [dict(main)],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            **more,
        },
    }


def why_not() -> str | None:
    """Why this machine cannot run the cluster, in a sentence; None: it can."""
    if os.environ.get("DLI_TEST_KUBECONFIG"):
        return None
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"it is {platform.system()} on {platform.machine()}, not Linux on x86_64"
    if os.geteuid() != 0:
        return "containers need root, and this is another user"
    if not Path("/sys/fs/cgroup/memory").is_dir() or not Path("/sys/fs/cgroup/cpuset").is_dir():
        return "its cgroups are not those of version 1, which the scripts are for"
    made = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        return f"it makes no namespaces: {made.stderr.strip()}"
    missing = [name for name in ("go", "mvn", _python()) if not _program(name)]
    if missing and not (_cache() / "bin" / "kubelet").exists():
        return f"{' and '.join(missing)} is not there to build the cluster with"
    if shutil.which("containerd") is None and shutil.which("apt-get") is None:
        return "there is neither containerd nor apt-get to install it"
    return None


def build() -> str:
    """The cluster's programs, and the image of this checkout, whose OCI layout it gives.

    A quarter of an hour when nothing is in the cache, seconds when only code has changed.
    """
    _script("build", "packages")
    with ThreadPoolExecutor(max_workers=1) as beside:
        programs = beside.submit(_script, "build")
        images = {"DLI_IMAGE_CACHE": str(image_cache()), "PYTHON": _python()}
        layout = _script(ROOT / "image" / "build", IMAGE, environment=images)
        programs.result()
    return layout


def up() -> Cluster:
    """Our cluster, with the image of this checkout in its nodes; left alone if it is up already."""
    layout = build()
    kubeconfig = _script("up")
    _script("load", layout)
    path = Path(kubeconfig)
    return Cluster(kubeconfig=path, image=IMAGE, host=HOST, run=path.parent)


def down() -> None:
    """End our cluster; what was built is kept."""
    _script("down")


def image_cache() -> Path:
    """The folder with the layers of the image, and its `layout`."""
    return _cache() / "images"


def running() -> bool:
    """Whether our cluster is there already, and answers: what a dead one left does not count."""
    kubeconfig = _run() / "admin.conf"
    if not kubeconfig.exists():
        return False
    ask = [_kubectl(), f"--kubeconfig={kubeconfig}", "get", "--raw=/readyz", "--request-timeout=5s"]
    return subprocess.run(ask, capture_output=True, check=False).returncode == 0


def given() -> Cluster | None:
    """The cluster that the environment names, if it does."""
    kubeconfig = os.environ.get("DLI_TEST_KUBECONFIG")
    if not kubeconfig:
        return None
    return Cluster(
        kubeconfig=Path(kubeconfig),
        image=os.environ.get("DLI_TEST_IMAGE", IMAGE),
        host=os.environ.get("DLI_TEST_POD_HOST"),
        run=None,
    )


def second_image(cluster: Cluster) -> str | None:
    """The cluster's image under another name; None where nobody says which a given one has."""
    if cluster.run is None:
        return os.environ.get("DLI_TEST_SECOND_IMAGE")
    name = f"{cluster.image}-second"
    for socket in sorted(cluster.run.glob("node-*/containerd.sock")):
        ctr = [_program("ctr") or "ctr", "-a", str(socket), "-n", "k8s.io"]
        tag = [*ctr, "images", "tag", "--force", cluster.image, name]
        subprocess.run(tag, check=True, capture_output=True)
    return name


def _script(name: str | Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """The last line that the script prints; what it says to people goes to standard error."""
    done = subprocess.run(
        [SCRIPTS / name, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise ClusterError(f"{name} ended with {done.returncode}")
    return done.stdout.strip().rpartition("\n")[2]


def _setting(name: str) -> Path:
    """A setting of the scripts, by their own rules."""
    told = subprocess.run(
        ["bash", "-c", f'. "$0"; echo "${name}"', SCRIPTS / "env.sh"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(told.stdout.strip())


def _cache() -> Path:
    return _setting("CACHE")


def _run() -> Path:
    return _setting("RUN")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")


def _python() -> str:
    """The image's Python is a 3.11, and what it runs has to be compiled by one."""
    return sys.executable if sys.version_info[:2] == (3, 11) else "python3.11"


def _kubectl() -> str:
    ours = _cache() / "bin" / "kubectl"
    return str(ours) if ours.exists() else "kubectl"


def main() -> int:
    """The command line of ``make cluster-up`` and ``make cluster-down``."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cluster")
    parser.add_argument("what", choices=("build", "up", "down", "probe"))
    what = parser.parse_args().what
    reason = why_not()
    if reason and what != "down":
        sys.stderr.write(f"This machine runs no cluster: {reason}.\n")
        return 0 if what == "build" else 1
    try:
        if what == "build":
            build()
        elif what == "up":
            sys.stdout.write(f"export KUBECONFIG={up().kubeconfig}\n")
        elif what == "down":
            down()
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
