"""One namespace of a Kubernetes cluster, seen through its API: requests, and a list of pods.

Speaks JSON as the API has it through the official client, whose part here is who we are
(kubeconfig, or the service account of our own pod), TLS and connections. Foreign failures end here.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from jobs.launchers.api import Asked
from jobs.launchers.cluster_calls import NO_ANSWER, Calls, asked
from jobs.launchers.pod_views import PodView, view_of
from jobs.launchers.pods import ClusterSettings, Manifest, name_of
from storage.base.clock import Clock
from storage.base.errors import InvalidInputError, UnavailableError
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_CONNECT, _READ = 5.0, 30.0  # seconds
_READY = 1.0  # seconds to connect, and as many to answer whether it is ready
_BROKEN = 500
_WATCH = 240  # seconds that the server keeps one watch open
_SILENT = 60.0  # seconds beyond that without a byte: the connection is dead
_RELIST = 300.0  # seconds after which all is listed again, whatever the watch said
_PAGE = 500
_SHORT = 1.0  # seconds: watches are not asked for more often
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
_GONE = 410
_CONNECTIONS = 32


class ClusterConfigError(InvalidInputError):
    """The kubeconfig cannot be read, or the service is in no pod and none was named."""

    code = "cluster_config_invalid"


class ApiError(UnavailableError):
    """The API server refused (``status`` is its code), or did not answer (0).

    ``asked``: it may have heard the request, and have done what was asked.
    """

    code = "cluster_refused"

    def __init__(self, message: str, *, status: int, asked: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.asked = asked


class Cluster:
    """Requests to one API server, for one namespace. Thread-safe. Raises ``ClusterConfigError``.

    ``calls`` counts the requests since the start by method, ``asked`` by more; a watch is one.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self.namespace = settings.namespace
        self._calls = Calls()
        configuration = Configuration()
        try:
            if settings.kubeconfig is None:
                load_incluster_config(client_configuration=configuration)
            else:
                load_kube_config(
                    config_file=str(settings.kubeconfig),
                    context=settings.context,
                    client_configuration=configuration,
                )
        except (ConfigException, OSError, ValueError) as error:
            raise ClusterConfigError(
                f"the cluster's configuration cannot be used: {error}",
                hint="name a kubeconfig and its context, or run in a pod with a service account",
            ) from error
        configuration.connection_pool_maxsize = _CONNECTIONS
        configuration.retries = False
        self._client = ApiClient(configuration)

    @property
    def calls(self) -> Mapping[str, int]:
        """As the class says."""
        return self._calls.methods

    @property
    def asked(self) -> Mapping[Asked, int]:
        """As the class says."""
        return self._calls.asked

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        patch: str = "merge",
        timeout: float = _READ,
    ) -> Any:
        """The answer, as JSON, within so many seconds. ``path`` begins with ``/api``.

        Raises ``ApiError``.
        """
        kind = f"application/{patch}-patch+json" if method == "PATCH" else "application/json"
        with self._answered(method, path, query, body, kind, timeout=timeout) as response:
            data = _whole(response)
        try:
            return json.loads(data or b"null")
        except ValueError as error:  # of something that stands before the server
            told = data[:100].decode(errors="replace")
            raise ApiError(f"the cluster does not answer, but says {told!r}", status=0) from error

    def end_of(self, path: str, *, query: Mapping[str, str], most: int) -> tuple[int, bytes]:
        """The last ``most`` bytes of a log, and where they begin. Raises ``ApiError``.

        All of it is read, since a limit that the server knows is one from its beginning.
        """
        kind, at, data = "application/json", 0, b""
        with self._answered("GET", path, query, None, kind, timeout=_READ) as response:
            try:
                for part in response.stream(65536):
                    data += part
                    at += max(len(data) - most, 0)
                    data = data[-most:]
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _broken_off(error) from error
        return at, data

    def lines(self, path: str, *, query: Mapping[str, str], seconds: float) -> Iterator[Any]:
        """The events of a watch, as they come, until its end. Raises ``ApiError``."""
        kind = "application/json"
        with self._answered("GET", path, query, None, kind, timeout=seconds) as response:
            rest = b""
            try:
                for data in response.stream(65536):
                    *whole, rest = (rest + data).split(b"\n")
                    for line in whole:
                        yield json.loads(line)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise ApiError(f"the watch broke: {error}", status=0) from error

    def answers(self) -> bool:
        """Whether the API server is there and ready; a refusal of the question is an answer."""
        kind = "application/json"
        try:
            with self._answered("GET", "/readyz", None, None, kind, timeout=_READY, connect=_READY):
                return True
        except ApiError as error:
            return 0 < error.status < _BROKEN

    def of(self, kind: str, name: str = "") -> str:
        """The path of an object of our namespace, or of all of a kind."""
        base = f"/api/v1/namespaces/{self.namespace}/{kind}"
        return f"{base}/{name}" if name else base

    def close(self) -> None:
        """Close the connections; watches end with an error."""
        self._client.close()

    @contextmanager
    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        kind: str,
        *,
        timeout: float,
        connect: float = _CONNECT,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        self._calls.begun(method)
        _, url, headers, _, _ = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=connect, read=timeout),
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._calls.answered(asked(method, path, query or {}, code=NO_ANSWER))
            # What found no connection was sent to nobody.
            unsent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
            raise ApiError(
                f"the cluster does not answer: {error}",
                status=0,
                asked=not isinstance(error, unsent),
            ) from error
        self._calls.answered(asked(method, path, query or {}, code=str(response.status)))
        try:
            if not 200 <= response.status < 300:
                raise ApiError(_told(response), status=response.status)
            yield response
        finally:
            if not response.closed:
                response.close()  # what is left unread, of a watch, is of no use to the next one
            response.release_conn()


class Watched:
    """The pods that ``selector`` names, kept up to date by one thread: list, then watch.

    Bookmarks keep the place where the watch goes on; a place that the server has forgotten (410)
    and every fifth minute all is listed again, so that nothing missed stays missed.
    """

    def __init__(self, cluster: Cluster, selector: str, clock: Clock) -> None:
        self._changed = threading.Condition()  # guards all below
        self._views: dict[str, PodView] = {}
        self._made: dict[str, dict[str, PodView]] = {}  # those that a run made, by that run
        self._listed = False
        self._connected = False
        self._cluster = cluster
        self._selector = selector
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="pods", daemon=True)
        self._thread.start()

    def get(self, name: str) -> PodView | None:
        """The pod, as it was seen last."""
        with self._changed:
            return self._views.get(name)

    def pod_of(self, run_id: RunId) -> PodView | None:
        """The pod of a run, likewise."""
        return self.get(name_of(run_id))

    def all(self) -> tuple[PodView, ...]:
        """All of them."""
        with self._changed:
            return tuple(self._views.values())

    def made_by(self, run_id: str) -> tuple[PodView, ...]:
        """Those that the run made itself."""
        with self._changed:
            return tuple(self._made.get(run_id, {}).values())

    def all_made(self) -> tuple[PodView, ...]:
        """Those that runs made themselves."""
        with self._changed:
            return tuple(view for made in self._made.values() for view in made.values())

    def put(self, pod: Manifest) -> None:
        """A pod as an answer of the API has it, before the watch tells; an older word loses."""
        view = view_of(pod)
        with self._changed:
            self._views.setdefault(view.name, view)
            self._changed.notify_all()

    def wait_for(self, claim: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``claim`` is true, which is asked after each change; whether it is."""
        with self._changed:
            return self._changed.wait_for(claim, seconds)

    def wait_listed(self, seconds: float) -> bool:
        """Wait for the first list; whether it came."""
        return self.wait_for(lambda: self._listed, seconds)

    @property
    def connected(self) -> bool:
        """Whether what is told of the pods is of now, as far as one connection tells."""
        with self._changed:
            return self._connected

    def close(self) -> None:
        """Follow no more; the thread ends with the next byte or silence of the server."""
        self._stop.set()

    def _follow(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                version, until = self._list(), self._clock.monotonic() + _RELIST
                while not self._stop.is_set() and self._clock.monotonic() < until:
                    began = self._clock.monotonic()
                    version = self._watch(version, until)
                    failures = 0
                    if self._clock.monotonic() - began < _SHORT:  # of a server that keeps none open
                        self._stop.wait(_SHORT)
            except ApiError as error:
                if self._stop.is_set():
                    return
                if error.status != _GONE:
                    level = logging.DEBUG if failures else logging.WARNING  # once is enough
                    log.log(level, "pods not watched", extra={"reason": error.message})
                    with self._changed:
                        self._connected = False
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                self._stop.wait(pause)
            except Exception:  # the outermost of this thread: without it nothing would be seen
                log.exception("pods not watched")
                with self._changed:
                    self._connected = False
                self._stop.wait(_PAUSES[-1])

    def _list(self) -> str:
        """All of them, in pages; the version of the list."""
        found: dict[str, PodView] = {}
        query = {"labelSelector": self._selector, "limit": str(_PAGE)}
        while True:
            page = self._cluster.request("GET", self._cluster.of("pods"), query=query)
            views = (_view_or_none(pod) for pod in page["items"])
            found |= {view.name: view for view in views if view is not None}
            token = page["metadata"].get("continue")
            if not token:
                break
            query["continue"] = token
        version: str = page["metadata"]["resourceVersion"]
        with self._changed:
            missing = [view for name, view in self._views.items() if name not in found]
            made_since = {view.name: view for view in missing if view.version > int(version)}
            self._views = {**found, **made_since}
            self._made = {}
            for each in self._views.values():
                self._index(each)
            self._listed = self._connected = True
            self._changed.notify_all()
        return version

    def _watch(self, version: str, until: float) -> str:
        """Follow from ``version`` on until the server ends the watch; where to go on."""
        seconds = max(1, min(_WATCH, int(until - self._clock.monotonic()) + 1))
        query = {
            "labelSelector": self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        path, silent = self._cluster.of("pods"), seconds + _SILENT
        for event in self._cluster.lines(path, query=query, seconds=silent):
            told = event["object"]
            if event["type"] == "ERROR":
                raise ApiError(str(told.get("message")), status=int(told.get("code", 0)))
            version = told["metadata"]["resourceVersion"]
            if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
                view = _view_or_none(told)
                if view is not None:
                    self._note(event["type"], view)
            if self._stop.is_set():
                break
        return version

    def _note(self, kind: str, view: PodView) -> None:
        with self._changed:
            if kind == "DELETED":
                self._views.pop(view.name, None)
                made = self._made.get(view.driver, {})
                if made.pop(view.name, None) is not None and not made:
                    del self._made[view.driver]
            else:
                self._views[view.name] = view
                self._index(view)
            self._changed.notify_all()

    def _index(self, view: PodView) -> None:
        if view.driver:
            self._made.setdefault(view.driver, {})[view.name] = view


def _view_or_none(pod: Manifest) -> PodView | None:
    """None of one that is not understood: it is nobody's business here, and must hide no other."""
    try:
        return view_of(pod)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = pod.get("metadata", {}).get("name")
        log.error("a pod is not understood", extra={"pod": name, "reason": repr(error)})
        return None


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    """All of an answer. Raises ``ApiError`` where it breaks off: what was asked may be done."""
    try:
        return bytes(response.data)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _broken_off(error) from error


def _broken_off(error: Exception) -> ApiError:
    return ApiError(f"the cluster does not answer to the end: {error}", status=0)


def _told(response: urllib3.BaseHTTPResponse) -> str:
    """The message of a refusal; a status object, or whatever text it is."""
    try:
        data = response.read() or b""
    except (urllib3.exceptions.HTTPError, OSError):
        data = b""  # its code is enough
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data[:500].decode(errors="replace") or f"status {response.status}"
