"""Pages of the documentation that are made from the code: ``python -m dli.reference docs``."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import dli
import jobs
import sql
import storage
from dli.api.wire import status_of
from dli.settings.loading import FILE, GROUPS
from jobs.launchers.problems import REASONS
from storage.base.errors import ServiceError
from storage.base.quantities import format_span

_PACKAGES: tuple[ModuleType, ...] = (dli, jobs, sql, storage)
_BEGIN, _END = "<!-- reason codes: begin -->", "<!-- reason codes: end -->"
_NOTE = "<!-- made by `python -m dli.reference docs`; change the code instead -->"


def settings_page() -> str:
    """Every setting with its default, by group."""
    return "\n".join(_settings()) + "\n"


def errors_page() -> str:
    """Every error code with its status, by status."""
    return "\n".join(_errors()) + "\n"


def error_classes() -> list[type[ServiceError]]:
    """All failures that the service can tell, by code."""
    for package in _PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            name = module.name
            apart = (".versions", ".programs")  # not ours to import: run by others
            if not name.endswith(("__main__", "migrations.env")) and not any(
                part in name for part in apart
            ):
                importlib.import_module(name)
    found: set[type[ServiceError]] = set()
    fresh = [ServiceError]
    while fresh:
        kind = fresh.pop()
        found.add(kind)
        fresh.extend(kind.__subclasses__())
    names = tuple(f"{package.__name__}." for package in _PACKAGES)
    ours = [kind for kind in found if kind.__module__.startswith(names)]
    lowest_first = sorted(ours, key=lambda kind: (kind.__module__, kind.__name__), reverse=True)
    return sorted(lowest_first, key=lambda kind: kind.code)


def _settings() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        _NOTE,
        "",
        f"A setting `port` is set by the environment variable `DLI_PORT` or by `port = …` in "
        f"`$DLI_HOME/{FILE}`; options of the command line go before the environment, and that "
        "before the file. Sizes are written like `64MiB` or `10GB`, spans like `250ms`, `30s`, "
        "`5m` or `2h`. Tracing is switched on by the standard variable "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`.",
    )
    for group in GROUPS:
        yield from ("", f"## {group.__doc__}", "", "| setting | variable | default | |")
        yield "|---|---|---|---|"
        for name, field in group.model_fields.items():
            default = "" if field.default_factory else _default(name, field.default)
            yield f"| `{name}` | `DLI_{name.upper()}` | {default} | {field.description} |"


def _default(name: str, value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, timedelta):
        return f"`{format_span(value)}`"
    if isinstance(value, Path):
        return f"`{value.name}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= 2**20 and value % 2**20 == 0:
        return f"`{value // 2**30}GiB`" if value % 2**30 == 0 else f"`{value // 2**20}MiB`"
    return f"`{value}`"


def _errors() -> Iterator[str]:
    yield from (
        "# Errors",
        "",
        _NOTE,
        "",
        "Failures are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems "
        "(`application/problem+json`) with a stable `code`, a `detail` for people, a `hint` what "
        "to do, and `retryable`: whether the same request may pass later. Errors in SQL have "
        "`line` and `column`, from 1. The `error` of a statement that failed has the same codes.",
        "",
        "| code | status | retryable | meaning |",
        "|---|---|---|---|",
    )
    told: set[str] = set()
    for kind in error_classes():
        if kind.code in told:  # an engine may tell what we would have told before it ran
            continue
        told.add(kind.code)
        meaning = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
        again = "yes" if kind.retryable else ""
        yield (
            f'| <a id="{kind.code}"></a>`{kind.code}` | {status_of(kind)} | {again} | {meaning} |'
        )


def reasons_table() -> str:
    """Why runs did not start or were ended, by code."""
    rows = (f"| `{code}` | {each.meaning} | {each.hint} |" for code, each in REASONS.items())
    return "\n".join(("| reason | meaning | what to do |", "|---|---|---|", *rows))


def with_reasons(page: str) -> str:
    """The page with the table between its marks as it is now."""
    begin, found, rest = page.partition(_BEGIN)
    _, ends, end = rest.partition(_END)
    assert found, "the page has no place for reasons"
    assert ends, "the page has no end of the reasons"
    return f"{begin}{_BEGIN}\n\n{reasons_table()}\n\n{_END}{end}"


def write_pages(folder: Path) -> None:
    """Write all pages into ``folder``, and what is made from the code into others."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "errors.md").write_text(errors_page(), encoding="utf-8")
    guide = folder / "kubernetes.md"
    if guide.exists():
        guide.write_text(with_reasons(guide.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Write the pages into the folder that is named."""
    write_pages(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
