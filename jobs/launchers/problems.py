"""Why a run did not start, or ended though nobody asked it to: codes, whose fault, what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
    """``code`` is one of ``HINTS``; ``message`` says what happened, in the cluster's own words."""

    code: str
    message: str
    blame: Blame
    again: Again

    @property
    def hint(self) -> str:
        """What to do."""
        return HINTS[self.code]

    def details(self) -> dict[str, object]:
        """What an error tells of it, beside its message and hint."""
        return {"reason": self.code, "blame": self.blame.value, "again": self.again.value}


#: Every code there is, with what to do about it.
HINTS: Mapping[str, str] = {
    "unschedulable": "wait for room, ask for less, or look at the queue's node selector and taints",
    "image_unavailable": "check the image's name, and that the nodes may pull it",
    "start_failed": "check that the image has the program, and runs as a user that is not root",
    "pod_config_invalid": "check what the queue's pod template refers to: config maps, secrets",
    "sandbox_failed": "look at the node: its container runtime or network does not work",
    "quota_exceeded": "raise the namespace's quota, or let the queue run less at once",
    "limit_range": "ask for less, or raise the namespace's limit range",
    "admission_refused": "the namespace's policy refuses the pod: change it or the pod template",
    "service_account_missing": "install the chart's service accounts, or name one that is there",
    "namespace_missing": "make the namespace, or name another one in the settings",
    "namespace_ending": "the namespace is being deleted: name another one in the settings",
    "not_permitted": "give the service the rights that the chart's role has",
    "pod_invalid": "the queue's pod template makes a pod that the cluster does not take",
    "cluster_unavailable": "wait until the cluster answers",
    "node_refused": "nothing: it is tried again on another node",
    "node_lost": "nothing: it is tried again on another node",
    "evicted": "nothing: it is tried again; use nodes with more room if that happens often",
    "preempted": "nothing: it is tried again; give the queue a higher priority class",
    "disk_exceeded": "write less to the disk, or raise kubernetes_scratch",
    "deadline": "give the job more time",
    "out_of_memory": "give it a larger size",
    "inputs_unavailable": "nothing: it is tried again when the object store answers",
    "outputs_lost": "nothing: it is tried again when the object store answers",
}
