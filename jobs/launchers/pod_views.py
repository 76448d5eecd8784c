"""What a pod's status means: what is kept of it, what keeps it from starting, what ended it. Pure.

The shapes are those that API servers of Kubernetes 1.34 were seen to send. Where one message covers
many cases (a 403 is a quota, a limit range, a missing account or a missing right) its text decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.launchers.pods import (
    BRINGER,
    CONTAINER,
    DRIVER,
    GROUP,
    LEASE,
    OWNER,
    ROLE,
    RUN,
    Manifest,
)
from jobs.launchers.problems import GATED, Again, Blame, Problem
from storage.base.ids import RunId

_LONGEST = 500
_NO_SUCH_IMAGE = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_NO_IMAGE_YET = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_NO_CONTAINER = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_NOT_STARTED = frozenset({"RunContainerError", "StartError", "ContainerCannotRun"})
_NOWHERE = re.compile(r"\bnot found\b|manifest unknown")  # a registry's word on an image
_DISK = re.compile(r"ephemeral|emptyDir|local storage", re.IGNORECASE)
_NO_RIGHT = re.compile(r"\bcannot \w+ (resource|path)\b")  # an authorizer's word
_UNSYNCED = "failed to sync"  # of a node that waits for a secret to come to it, and tries again


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """What is kept of one pod; small, since there may be thousands."""

    run_id: RunId
    name: str
    uid: str
    owner: str
    role: str
    phase: str  #: Pending, Running, Succeeded, Failed, Unknown
    node: str | None
    ip: str | None
    deleted_at: datetime | None  #: when it shall have ended, because somebody asked for it
    ready: bool  #: the node says that the run's container runs
    version: int  #: grows with each change of any object
    created_at: datetime
    driver: str = ""  #: the run that made it; empty: we did
    lease: float | None = None  #: seconds that it lives without a renewal
    started_at: datetime | None = None  #: of the container, by its node's clock
    finished_at: datetime | None = None
    exit_code: int | None = None  #: as the container runtime tells it
    facts: Mapping[str, Any] = field(default_factory=dict)  #: the porter's own words
    problem: Problem | None = None
    left_others: bool = False  #: its container has ended, those of the queue's template have not

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more, or ever will."""
        never_placed = self.deleted_at is not None and self.node is None
        return self.phase in {"Succeeded", "Failed"} or self.left_others or never_placed


def view_of(pod: Manifest) -> PodView:
    """What the pod's object tells."""
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels", {})
    container = _container(status)
    state = container.get("state", {})
    ended = state.get("terminated") or {}
    return PodView(
        run_id=RunId(labels.get(RUN, metadata["name"])),
        name=metadata["name"],
        uid=metadata["uid"],
        owner=labels.get(OWNER, ""),
        role=labels.get(ROLE, ""),
        driver=labels.get(DRIVER, ""),
        lease=_seconds(metadata.get("annotations", {}).get(LEASE)),
        phase=status.get("phase", "Unknown"),
        node=pod["spec"].get("nodeName"),
        ip=status.get("podIP"),
        deleted_at=_moment_or_none(metadata.get("deletionTimestamp")),
        ready="running" in state,
        version=int(metadata.get("resourceVersion", "0")),
        created_at=_moment(metadata["creationTimestamp"]),
        started_at=_moment_or_none((ended or state.get("running") or {}).get("startedAt")),
        finished_at=_moment_or_none(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        facts=_facts(ended.get("message")),
        problem=problem_of(pod),
        left_others=_left_others(status),
    )


def problem_of(pod: Manifest) -> Problem | None:
    """What keeps the pod from starting, or ended it; None if nothing does."""
    status = pod.get("status", {})
    if status.get("phase") in {"Succeeded", "Failed"} or _left_others(status):
        return _ended_by(status)
    return _disrupted(status) or _gated(pod) or _waits_for(status, bare=_is_bare(pod))


def problem_in(events: Sequence[Manifest]) -> Problem | None:
    """What only the warnings about a pod tell: its volumes and its sandbox. The newest counts."""
    for event in sorted(events, key=_last_seen, reverse=True):
        message = event.get("message", "")
        match event.get("reason"):
            case "FailedMount" if _UNSYNCED in message:
                return _problem("sandbox_failed", message, Blame.PLATFORM, Again.LATER)
            case "FailedMount" | "FailedAttachVolume":
                return _problem("pod_config_invalid", message, Blame.OPERATOR, Again.NEVER)
            case "FailedCreatePodSandBox":
                return _problem("sandbox_failed", message, Blame.PLATFORM, Again.LATER)
            case "FailedScheduling":
                return _unschedulable(message)
    return None


def refusal(code: int, message: str) -> Problem:
    """Why an API server did not take a pod: its answer's status code and its own words."""
    text = message.lower()
    for words, problem, blame, again in _REFUSALS:
        if 400 <= code < 500 and words in text:
            return _problem(problem, message, blame, again)
    if code == 413:
        return _problem("too_large", message, Blame.USER, Again.NEVER)
    if code in {400, 422}:
        return _problem("pod_invalid", message, Blame.OPERATOR, Again.NEVER)
    if code == 403 and "is forbidden:" in text and not _NO_RIGHT.search(text):
        return _problem("admission_refused", message, Blame.OPERATOR, Again.NEVER)
    if code in {401, 403, 404}:
        return _problem("not_permitted", message, Blame.OPERATOR, Again.NEVER)
    return _problem("cluster_unavailable", message, Blame.PLATFORM, Again.LATER)


#: The first whose words are in the message.
_REFUSALS: tuple[tuple[str, str, Blame, Again], ...] = (
    # First, since what follows it is anybody's text; "the": a webhook's, without it a policy's.
    ("denied the request", "admission_refused", Blame.OPERATOR, Again.NEVER),
    ("denied request:", "admission_refused", Blame.OPERATOR, Again.NEVER),
    ("1048576 bytes", "too_large", Blame.USER, Again.NEVER),
    # Of several API servers that count at one: the cluster is there.
    ("cannot be fulfilled on resourcequotas", "quota_exceeded", Blame.PLATFORM, Again.LATER),
    ("exceeded quota", "quota_exceeded", Blame.OPERATOR, Again.LATER),
    ("failed quota", "pod_config_invalid", Blame.OPERATOR, Again.NEVER),
    ("error looking up service account", "service_account_missing", Blame.OPERATOR, Again.NEVER),
    ("violates podsecurity", "admission_refused", Blame.OPERATOR, Again.NEVER),
    ("per container is", "limit_range", Blame.OPERATOR, Again.NEVER),
    ("per pod is", "limit_range", Blame.OPERATOR, Again.NEVER),
    ("limitrange", "limit_range", Blame.OPERATOR, Again.NEVER),
    ("being terminated", "namespace_ending", Blame.OPERATOR, Again.NEVER),
    ("namespaces", "namespace_missing", Blame.OPERATOR, Again.NEVER),
    ("no priorityclass", "pod_config_invalid", Blame.OPERATOR, Again.NEVER),
    ("runtimeclass", "pod_config_invalid", Blame.OPERATOR, Again.NEVER),
)


def _ended_by(status: Manifest) -> Problem | None:
    reason, message = status.get("reason", ""), status.get("message", "")
    if reason == "Evicted" and _DISK.search(message):
        return _problem("disk_exceeded", message, Blame.USER, Again.NEVER)
    if reason == "DeadlineExceeded":
        return _problem("deadline", message, Blame.USER, Again.NEVER)
    if reason in {
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "NodeAffinity",
        "UnexpectedAdmissionError",
    }:
        return _problem("node_refused", message or reason, Blame.PLATFORM, Again.NOW)
    if (disrupted := _disrupted(status)) is not None:
        return disrupted
    if reason == "Evicted":
        return _problem("evicted", message, Blame.PLATFORM, Again.NOW)
    if reason in {"NodeLost", "NodeShutdown", "Terminated", "Shutdown"}:
        return _problem("node_lost", message or reason, Blame.PLATFORM, Again.NOW)
    brought = _container(status, BRINGER).get("state", {}).get("terminated") or {}
    if brought.get("exitCode") and brought.get("reason") != "ContainerStatusUnknown":
        told = f"the porter was not brought: {brought.get('message') or brought.get('reason')}"
        return _problem("start_failed", told, Blame.OPERATOR, Again.LATER)
    ended = _container(status).get("state", {}).get("terminated")
    if ended is None:
        return (
            None
            if status.get("phase") == "Succeeded"
            else _problem(
                "node_lost",
                message or "the pod failed before its container",
                Blame.PLATFORM,
                Again.NOW,
            )
        )
    return _terminated(ended)


def _terminated(ended: Manifest) -> Problem | None:
    """Of the container's end. An out-of-memory kill of a mere child is no failure of the run."""
    reason, code = ended.get("reason", ""), ended.get("exitCode", 0)
    message = ended.get("message") or reason
    facts = _facts(ended.get("message"))
    if reason == "OOMKilled" and code and facts.get("code", code):
        told = "the run used more memory than its limit"
        return _problem("out_of_memory", told, Blame.USER, Again.LARGER)
    if reason in _NOT_STARTED:
        return _problem("start_failed", message, Blame.OPERATOR, Again.NEVER)
    if reason == "ContainerStatusUnknown":
        return _problem("node_lost", message, Blame.PLATFORM, Again.NOW)
    if facts.get("reason") == "inputs":
        told = f"its files could not be brought: {facts.get('detail', '')}"
        return _problem("inputs_unavailable", told, Blame.PLATFORM, Again.LATER)
    if facts.get("kept") is False:
        return _problem(
            "outputs_lost", "what it made could not be kept", Blame.PLATFORM, Again.LATER
        )
    return None


def _disrupted(status: Manifest) -> Problem | None:
    """The condition that the cluster sets on a pod that it ends for reasons of its own."""
    found = _condition(status, "DisruptionTarget")
    if found is None or found.get("status") != "True":
        return None
    message = found.get("message", "")
    match found.get("reason"):
        case "PreemptionByScheduler":
            return _problem("preempted", message, Blame.PLATFORM, Again.LATER)
        case "DeletionByTaintManager" | "DeletionByPodGC":
            return _problem("node_lost", message, Blame.PLATFORM, Again.NOW)
        case _:
            return _problem("evicted", message, Blame.PLATFORM, Again.NOW)


def _waits_for(status: Manifest, *, bare: bool) -> Problem | None:
    """What the scheduler or the node says. The image of a ``bare`` run is the user's own choice."""
    placed = _condition(status, "PodScheduled")
    if placed is not None and placed.get("reason") == "Unschedulable":
        return _unschedulable(placed.get("message", ""))
    for name, theirs in ((BRINGER, False), (CONTAINER, bare)):
        waiting = _container(status, name).get("state", {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        told = message or reason
        blame = Blame.USER if theirs else Blame.OPERATOR
        if reason in _NO_SUCH_IMAGE or (
            theirs and reason in _NO_IMAGE_YET and _NOWHERE.search(told)
        ):
            return _problem("image_unavailable", told, blame, Again.NEVER)
        if reason in _NO_IMAGE_YET:
            return _problem("image_unavailable", told, blame, Again.LATER)
        if reason in _NO_CONTAINER and _UNSYNCED in told:
            return _problem("sandbox_failed", told, Blame.PLATFORM, Again.LATER)
        if reason in _NO_CONTAINER:
            return _problem("pod_config_invalid", told, Blame.OPERATOR, Again.NEVER)
        if reason in _NOT_STARTED:
            return _problem("start_failed", told, Blame.OPERATOR, Again.NEVER)
    return None


def _gated(pod: Manifest) -> Problem | None:
    """A gate is taken away by whoever put it there, or asked for it."""
    placed = _condition(pod.get("status", {}), "PodScheduled")
    if placed is None or placed.get("reason") != "SchedulingGated":
        return None
    names = ", ".join(each["name"] for each in pod["spec"].get("schedulingGates", ()))
    return _problem(GATED, f"it is held back by {names}", Blame.PLATFORM, Again.LATER)


def _unschedulable(message: str) -> Problem:
    """Room comes back by itself; a node that fits may have to be added by somebody."""
    lacking = "Insufficient" in message or "Too many pods" in message
    blame = Blame.PLATFORM if lacking else Blame.OPERATOR
    return _problem("unschedulable", message, blame, Again.LATER)


def _container(status: Manifest, name: str = CONTAINER) -> Manifest:
    """The status of one container: of the run's own, or of the one before it."""
    kind = "containerStatuses" if name == CONTAINER else "initContainerStatuses"
    for each in status.get(kind, ()):
        if each.get("name") == name:
            found: Manifest = each
            return found
    return {}


def _left_others(status: Manifest) -> bool:
    """Whether the pod's phase will not tell the end of the run, since others go on without it."""
    if status.get("phase") in {"Succeeded", "Failed"}:
        return False
    ended = {
        each.get("name"): "terminated" in each.get("state", {})
        for each in status.get("containerStatuses", ())
    }
    return ended.get(CONTAINER, False) and not all(ended.values())


def _is_bare(pod: Manifest) -> bool:
    return any(each.get("name") == BRINGER for each in pod["spec"].get("initContainers", ()))


def _condition(status: Manifest, kind: str) -> Manifest | None:
    for each in status.get("conditions", ()):
        if each.get("type") == kind:
            found: Manifest = each
            return found
    return None


def _facts(message: str | None) -> dict[str, Any]:
    """The porter's termination message; a runtime's own text is none."""
    try:
        found = json.loads(message or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _problem(code: str, message: str, blame: Blame, again: Again) -> Problem:
    text = " ".join(message.split()) or code
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return Problem(code=code, message=cut, blame=blame, again=again)


def _last_seen(event: Manifest) -> str:
    moment = event.get("lastTimestamp") or event.get("eventTime") or ""
    return moment or event["metadata"].get("creationTimestamp", "")


def _seconds(text: str | None) -> float | None:
    """None also of what no launcher of ours wrote there."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


__all__ = ["GROUP", "PodView", "problem_in", "problem_of", "refusal", "view_of"]
