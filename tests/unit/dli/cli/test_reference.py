from __future__ import annotations

from pathlib import Path

from dli.cli.reference import reference

ROOT = Path(__file__).resolve().parents[4]


def test_page_is_as_the_help_says() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m dli.cli.reference > docs/cli.md"
