"""In what the servers of the one protocol differ, as far as a client must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _anything(uri: str) -> None:
    """No place is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of server. ``address`` turns a URI of ours, taken literally, into one of its own."""

    name: str
    address: Callable[[str], str]
    quoted_views: bool  #: takes the name of a view as SQL, not as it is
    check: Callable[[str], None] = _anything  #: raises for a URI that it has no way to
    present: Callable[[str], bool] | None = None  #: asked for each file, where it does not itself
    partition_folders: bool  #: takes partition values from folder names, given a ``basePath``
    confs: Mapping[str, str] = field(default_factory=dict)  #: set in each session
    #: ends what an interrupted operation leaves running, given where the server's pages are
    kill_leftovers: Callable[[tuple[str, int], str], int] | None = None
    #: whether no task and no job runs, likewise; None: the server cannot tell
    idle: Callable[[tuple[str, int]], bool] | None = None
    warm_up: tuple[str, ...] = ()  #: statements; they need no table and must not fail
