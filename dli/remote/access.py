"""Where the service is and who asks: arguments, environment, a file of one's own, the home.

The first that says something wins, for the address and for the token apart: what the caller gives,
``DLI_URL`` and ``DLI_TOKEN``, the config file, and the token that ``dli up`` left in its home. The
home's token is only sent to the home's own service, never to an address that came from elsewhere.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8420"


class AccessError(Exception):
    """The address or the token cannot be found or may not be used as they lie there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An address and a token, and where each came from (for people who wonder)."""

    url: str
    token: str | None = field(repr=False)
    project: str | None
    url_from: str
    token_from: str | None


def home(environment: Mapping[str, str]) -> Path:
    """The folder of the service of this machine and user."""
    return Path(environment.get("DLI_HOME") or Path.home() / ".dli").expanduser()


def config_path(environment: Mapping[str, str]) -> Path:
    """The config file: ``DLI_CONFIG``, else ``dli/config.toml`` in the user's config folder."""
    if named := environment.get("DLI_CONFIG"):
        return Path(named).expanduser()
    folder = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "dli" / "config.toml"


def resolve(
    environment: Mapping[str, str],
    *,
    url: str | None = None,
    token: str | None = None,
    project: str | None = None,
) -> Access:
    """Choose address, token and project; raises ``AccessError`` for a file that is not private."""
    config = _read_config(config_path(environment))
    folder = home(environment)
    local = _local_url(folder)
    urls = [
        (url, "--url"),
        (environment.get("DLI_URL"), "DLI_URL"),
        (config.get("url"), str(config_path(environment))),
        (local, str(folder / "url")),
        (DEFAULT_URL, "default"),
    ]
    chosen, url_from = next((value, source) for value, source in urls if value)
    tokens = [
        (token, "--token"),
        (environment.get("DLI_TOKEN"), "DLI_TOKEN"),
        (config.get("token"), str(config_path(environment))),
    ]
    found = next(((value, source) for value, source in tokens if value), None)
    at_home = chosen.rstrip("/") in {local, DEFAULT_URL}
    if found is None and at_home and (folder / "token").is_file():
        found = (_private_text(folder / "token").strip(), str(folder / "token"))
    return Access(
        url=chosen.rstrip("/"),
        token=found[0] if found else None,
        project=project or environment.get("DLI_PROJECT") or config.get("project"),
        url_from=url_from,
        token_from=found[1] if found else None,
    )


def readable_by_others(path: Path) -> bool:
    """Whether somebody else on this machine could read the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))


def _read_config(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(_private_text(path))
    except tomllib.TOMLDecodeError as error:
        raise AccessError(f"{path} is not TOML: {error}") from error
    unknown = sorted(set(values) - {"url", "token", "project"})
    if unknown:
        raise AccessError(f"{path} has {', '.join(unknown)}; it may hold url, token and project")
    return {name: str(value) for name, value in values.items()}


def _local_url(folder: Path) -> str | None:
    """Where the service of this home listens, as ``dli up`` wrote it down."""
    path = folder / "url"
    return path.read_text(encoding="utf-8").strip().rstrip("/") if path.is_file() else None


def _private_text(path: Path) -> str:
    if readable_by_others(path):
        raise AccessError(f"{path} holds a token and others can read it: chmod 600 {path}")
    return path.read_text(encoding="utf-8")
