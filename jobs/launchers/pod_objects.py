"""The objects of runs in the cluster, a secret and a pod each: made, asked about, removed."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass
from datetime import timedelta

from jobs.launchers import pods
from jobs.launchers.api import LaunchError, LaunchRefusedError, RunExistsError, RunSpec
from jobs.launchers.cluster import ApiError, Cluster, Watched
from jobs.launchers.pod_views import refusal
from jobs.launchers.pods import Order, PodSettings, name_of
from jobs.launchers.segments import PART
from storage.base.clock import Clock
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_OTHERS = 10  # seconds to end for side-cars, which may have the last of a log
_CONTENDED = "cannot be fulfilled on resourcequotas"
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds, more or less, between tries at a quota
_MISSING, _TAKEN = 404, 409
_UNKNOWN = frozenset({0, 504})  # what is known of a request then: nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Of one installation. ``owner`` is this replica; ``watched`` are the pods that are there."""

    cluster: Cluster
    watched: Watched
    settings: PodSettings
    owner: str
    selector: str
    clock: Clock

    def create(self, spec: RunSpec, order: Order) -> bool:
        """The secret, then the pod; what was made goes again if the rest is refused.

        False where the pod's request may have been heard, but was not answered.
        """
        name = name_of(spec.run_id)
        made = pods.secret(spec, order, self.settings, owner=self.owner)
        self._post("secrets", made, spec.run_id)
        try:
            manifest = pods.pod(spec, self.settings, owner=self.owner)
            self.watched.put(self._post("pods", manifest, spec.run_id))
        except (LaunchError, RunExistsError) as error:
            cause = error.__cause__
            if isinstance(cause, ApiError) and cause.asked and cause.status in _UNKNOWN:
                log.warning("a pod may be there", extra={"run": spec.run_id})
                return False
            if not isinstance(error, RunExistsError):
                self.quietly_delete("secrets", name)
            raise
        return True

    def token(self, name: str) -> str:
        """What opens the window of a pod. Raises ``ApiError``."""
        return pods.token_in(self.cluster.request("GET", self.cluster.of("secrets", name)))

    def log(self, name: str) -> tuple[int, bytes]:
        """The end of what the container wrote, from its node, and where it begins there.

        Raises ``ApiError``.
        """
        path, query = self.cluster.of("pods", f"{name}/log"), {"container": pods.CONTAINER}
        return self.cluster.end_of(path, query=query, most=PART)

    def warnings(self, uid: str) -> list[pods.Manifest]:
        """The events of a pod that tell of trouble, in no order. Raises ``ApiError``."""
        query = {"fieldSelector": f"involvedObject.uid={uid},type=Warning"}
        found: list[pods.Manifest] = self.cluster.request(
            "GET", self.cluster.of("events"), query=query
        )["items"]
        return found

    def delete(self, name: str, *, grace: int) -> None:
        """Let the cluster end the pod, if it is there. Raises ``ApiError``."""
        try:
            options = {"gracePeriodSeconds": grace}
            self.cluster.request("DELETE", self.cluster.of("pods", name), options)
        except ApiError as error:
            if error.status != _MISSING:
                raise

    def clear(self, name: str) -> None:
        """Let the pod go, and its secret. Raises ``ApiError``."""
        view = self.watched.get(name)
        if view is not None:
            self.unfinalize(name)
            if view.deleted_at is None:  # else its node does the rest
                self.delete(name, grace=_OTHERS if view.left_others else 0)
        self.quietly_delete("secrets", name)

    def unfinalize(self, name: str) -> None:
        """Its end is on record. Raises ``ApiError``."""
        try:
            body = {"metadata": {"finalizers": None}}
            self.cluster.request("PATCH", self.cluster.of("pods", name), body)
        except ApiError as error:
            if error.status != _MISSING:
                raise

    def quietly_delete(self, kind: str, name: str) -> None:
        """Remove what the next sweep finds as well."""
        try:
            self.cluster.request("DELETE", self.cluster.of(kind, name))
        except ApiError as error:
            if error.status != _MISSING:
                log.warning("not removed", extra={"object": name, "reason": error.message})

    def clear_secrets(self, *, before: str) -> int:
        """Remove secrets without a pod that were made ``before``, an ISO time; how many."""
        done = 0
        query = {"labelSelector": self.selector}
        found = self.cluster.request("GET", self.cluster.of("secrets"), query=query)["items"]
        for each in found:
            name, made = each["metadata"]["name"], each["metadata"]["creationTimestamp"]
            if self.watched.get(name) is None and made < before and not self._is_there(name):
                self.quietly_delete("secrets", name)
                done += 1
        return done

    def _is_there(self, name: str) -> bool:
        """Whether the pod is, by the server's own word: what is watched may be of long ago."""
        try:
            self.cluster.request("GET", self.cluster.of("pods", name))
        except ApiError as error:
            if error.status != _MISSING:
                raise
            return False
        return True

    def _post(self, kind: str, manifest: pods.Manifest, run_id: RunId) -> pods.Manifest:
        try:
            made = self._posted(kind, manifest)
        except ApiError as error:
            if error.status == _TAKEN and "already exists" in error.message:
                raise RunExistsError(f"run {run_id} was launched before") from error
            raise LaunchRefusedError(refusal(error.status, error.message)) from error
        return made

    def _posted(self, kind: str, manifest: pods.Manifest) -> pods.Manifest:
        """Tried again where several API servers counted at one quota, and none of them won."""
        never = threading.Event()
        for pause in (*_PAUSES, None):
            try:
                made: pods.Manifest = self.cluster.request("POST", self.cluster.of(kind), manifest)
                return made
            except ApiError as error:
                if pause is None or _CONTENDED not in error.message:
                    raise
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311  jitter, no secret
                self.clock.wait(never, timedelta(seconds=wait))
        raise AssertionError("the last try returns or raises")
