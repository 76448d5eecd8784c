"""The pages that are made from the code are as fresh as the code."""

from __future__ import annotations

from pathlib import Path

from dli.api.wire import status_of
from dli.reference import error_classes, errors_page, settings_page, with_reasons
from dli.settings.loading import Settings

DOCS = Path(__file__).parents[3] / "docs"
AGAIN = "run python -m dli.reference docs"


def test_the_page_of_settings_is_fresh() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), AGAIN


def test_every_setting_is_on_its_page() -> None:
    page = settings_page()
    assert all(f"`DLI_{name.upper()}`" in page for name in Settings.model_fields)


def test_the_page_of_errors_is_fresh() -> None:
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == errors_page(), AGAIN


def test_the_reasons_of_runs_are_fresh() -> None:
    page = (DOCS / "kubernetes.md").read_text(encoding="utf-8")
    assert page == with_reasons(page), AGAIN


def test_every_error_has_a_code_of_its_own_and_says_what_it_is() -> None:
    kinds: dict[str, set[str]] = {}
    for kind in error_classes():
        kinds.setdefault(kind.code, set()).add(kind.__module__)
        assert kind.__doc__, kind
    shared = {code: modules for code, modules in kinds.items() if len(modules) > 1}
    assert all("jobs.engines.errors" in modules for modules in shared.values()), shared
    assert len(kinds) > 60


def test_classes_that_share_a_code_share_a_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in error_classes():
        statuses.setdefault(kind.code, set()).add(status_of(kind))
    assert all(len(found) == 1 for found in statuses.values())
