"""Why a run did not start, or ended though nobody asked it to: codes, whose fault, what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Blame(StrEnum):
    """Who has to do something about it."""

    USER = "user"  #: whoever wrote or sized the job
    OPERATOR = "operator"  #: whoever set up the queue, its image or its namespace
    PLATFORM = "platform"  #: nobody: a machine was lost, or there is no room


class Again(StrEnum):
    """What another attempt is good for."""

    NEVER = "never"  #: it would end in the same way
    LARGER = "larger"  #: with more memory
    LATER = "later"  #: as it is, when there is room or the fault is mended
    NOW = "now"  #: as it is, at once, elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``code`` is one of ``REASONS``; ``message`` is what the cluster says of it."""

    code: str
    message: str
    blame: Blame
    again: Again

    @property
    def hint(self) -> str:
        """What to do."""
        return REASONS[self.code].hint

    def details(self) -> dict[str, object]:
        """What an error tells of it, beside its message and hint."""
        return {"reason": self.code, "blame": self.blame.value, "again": self.again.value}


class Reason(NamedTuple):
    """One code: what it means, and what to do about it."""

    meaning: str
    hint: str


_NOTHING = "nothing: it is tried again"

#: Something else decides when the pod may start: a batch or task waits for it as long as it may.
GATED = "gated"

#: Every code there is.
REASONS: Mapping[str, Reason] = {
    "unschedulable": Reason(
        "no node has room for the pod, or none fits it",
        "wait for room, ask for less, or look at the queue's node selector and taints",
    ),
    GATED: Reason(
        "something else decides when the pod may be scheduled, and has not let it yet",
        "wait for its turn there, as in the queue of Kueue that the queue's pod template names",
    ),
    "image_unavailable": Reason(
        "the node cannot get the image", "check the image's name, and that the nodes may pull it"
    ),
    "start_failed": Reason(
        "the container's program cannot be started",
        "check that the image has the program, and runs as a user that is not root",
    ),
    "pod_config_invalid": Reason(
        "the pod refers to something that is not there, or leaves out what a quota asks for",
        "check what the queue's pod template and the project's credentials refer to: config maps, "
        "secrets and their keys, classes",
    ),
    "sandbox_failed": Reason(
        "the node cannot make a pod at all",
        "look at the node: its container runtime or network does not work",
    ),
    "quota_exceeded": Reason(
        "the namespace's quota is used up",
        "raise the quota, or let the queue run less at once",
    ),
    "limit_range": Reason(
        "the namespace allows no container so large",
        "ask for less, or raise the namespace's limit range",
    ),
    "admission_refused": Reason(
        "a policy of the namespace refuses the pod", "change the policy or the queue's pod template"
    ),
    "service_account_missing": Reason(
        "the pod's service account is not there",
        "install the chart's service accounts, or name one that is there, in the settings, the "
        "queue's pod template or the project's credentials",
    ),
    "namespace_missing": Reason(
        "the namespace of runs is not there", "make it, or name another one in the settings"
    ),
    "namespace_ending": Reason(
        "the namespace of runs is being deleted", "name another one in the settings"
    ),
    "not_permitted": Reason(
        "the service may not do this in the namespace",
        "give it the rights that the chart's role has",
    ),
    "pod_invalid": Reason(
        "the cluster does not understand the pod", "mend the queue's pod template"
    ),
    "too_large": Reason(
        "the job's arguments and variables are more than a cluster takes for a pod, 1 MiB together",
        "give it what is large as a file",
    ),
    "cluster_unavailable": Reason(
        "the cluster's API server does not answer", "nothing: it is tried again when it does"
    ),
    "node_refused": Reason("the node took the pod back before it began", _NOTHING),
    "node_lost": Reason("the node does not answer any more, or is gone", _NOTHING),
    "evicted": Reason(
        "the node was drained, or ran short of memory or disk",
        f"{_NOTHING}; use larger nodes if that happens often",
    ),
    "preempted": Reason(
        "a pod of higher priority took its place",
        f"{_NOTHING}; give the queue a higher priority class",
    ),
    "disk_exceeded": Reason(
        "the run wrote more to its disk than it may",
        "write less, or raise kubernetes_scratch",
    ),
    "deadline": Reason("the run's time was over", "give the job more time"),
    "out_of_memory": Reason("the run used more memory than its limit", "give it a larger size"),
    "inputs_unavailable": Reason(
        "the run's files could not be brought from the object store", _NOTHING
    ),
    "outputs_lost": Reason("what the run made could not be brought to the object store", _NOTHING),
}
