"""How often an API server was asked, by what was asked and what it said."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from jobs.launchers.api import Asked

NO_ANSWER = "none"  #: in the place of a status code

_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


class Calls:
    """Counts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards both below
        self._methods: Counter[str] = Counter()
        self._asked: Counter[Asked] = Counter()

    def begun(self, method: str) -> None:
        """One more is sent."""
        with self._lock:
            self._methods[method] += 1

    def answered(self, what: Asked) -> None:
        """And is answered, or will not be."""
        with self._lock:
            self._asked[what] += 1

    @property
    def methods(self) -> Mapping[str, int]:
        """Those that were sent, by method."""
        with self._lock:
            return dict(self._methods)

    @property
    def asked(self) -> Mapping[Asked, int]:
        """Those that are over, but for what is still read of an answer."""
        with self._lock:
            return dict(self._asked)


def asked(method: str, path: str, query: Mapping[str, str], *, code: str) -> Asked:
    """The request in the words of a Role's rules, which is how servers count them too. Pure."""
    parts = path.strip("/").split("/")
    if parts[0] != "api":
        return Asked("get", parts[0], code)
    what = parts[4:] if parts[2] == "namespaces" else parts[2:]
    kind, name, below = [*what, "", ""][:3]
    resource = f"{kind}/{below}" if below else kind
    if method != "GET":
        return Asked(_VERBS[method], resource, code)
    if name:
        return Asked("get", resource, code)
    return Asked("watch" if "watch" in query else "list", resource, code)
