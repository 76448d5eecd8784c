"""How clusters are reached: the one of the settings, and those that a file of theirs names.

It is TOML, a table for each: ``kubeconfig`` is a path, from the folder of
the file if it is relative.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from dli.settings.loading import InvalidSettingError, Settings
from jobs.launchers.pods import ClusterSettings
from jobs.lifecycle.runs import DEFAULT_CLUSTER

_SETTING = "kubernetes_clusters"
#: The names of executors begin with that of their driver, and Spark allows them 47 characters.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kubeconfig: Path
    context: str | None = None
    namespace: str


def every_cluster(settings: Settings) -> Mapping[str, ClusterSettings]:
    """By name, the one of the other settings first. Raises ``InvalidSettingError``."""
    default = ClusterSettings(
        kubeconfig=settings.kubernetes_kubeconfig,
        context=settings.kubernetes_context,
        namespace=settings.kubernetes_namespace,
    )
    further = settings.kubernetes_clusters
    return {DEFAULT_CLUSTER: default} | ({} if further is None else dict(read_clusters(further)))


def read_clusters(path: Path) -> Mapping[str, ClusterSettings]:
    """Those that the file names; none of them is ``DEFAULT_CLUSTER``.

    Raises ``InvalidSettingError``.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettingError(f"{_SETTING}: {path} cannot be read: {error}") from error
    return {name: _entry(name, entry, path.absolute().parent) for name, entry in found.items()}


def _entry(name: str, entry: object, folder: Path) -> ClusterSettings:
    if name == DEFAULT_CLUSTER or not _NAME.fullmatch(name):
        raise InvalidSettingError(
            f"{_SETTING}: {name!r} cannot name a further cluster",
            hint="use a letter and then letters, digits and -, at most 12, in lower case; "
            f"{DEFAULT_CLUSTER} is the one of the other settings",
        )
    try:
        given = _Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join([name, *(str(part) for part in first["loc"])])
        raise InvalidSettingError(f"{_SETTING}: {where}: {first['msg']}") from error
    return ClusterSettings(
        kubeconfig=folder / given.kubeconfig.expanduser(),
        context=given.context,
        namespace=given.namespace,
    )
