from __future__ import annotations

from pathlib import Path

import pytest

from dli.cli.results import Form, choose_form
from dli.cli.session import UsageError


@pytest.mark.parametrize(
    ("form", "name", "chosen"),
    [
        (None, "a.csv", Form.CSV),
        (None, "a.JSON", Form.JSON),
        (None, "a.arrow", Form.ARROW),
        (None, "a.parquet", Form.PARQUET),
        (Form.CSV, "a.txt", Form.CSV),
        (Form.JSON, "a.csv", Form.JSON),
    ],
)
def test_form_is_the_one_asked_for_or_the_names(
    tmp_path: Path, form: Form | None, name: str, chosen: Form
) -> None:
    assert choose_form(form, tmp_path / name) is chosen


def test_without_a_file_it_is_a_table() -> None:
    assert choose_form(None, None) is Form.TABLE


@pytest.mark.parametrize(("form", "name"), [(None, "a.txt"), (Form.TABLE, "a.csv")])
def test_form_that_fits_no_file_is_bad_usage(tmp_path: Path, form: Form | None, name: str) -> None:
    with pytest.raises(UsageError):
        choose_form(form, tmp_path / name)


def test_folder_that_is_not_there_is_told_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        choose_form(None, tmp_path / "none" / "a.csv")
