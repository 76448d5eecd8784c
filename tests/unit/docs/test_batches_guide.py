"""The tables of docs/batches.md say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dli.api.schemas.batches import BatchBody
from dli.api.schemas.terms import TermsBody
from jobs.batches.errors import ERRORS
from jobs.batches.sizes import GIB, SIZES, heap_bytes
from jobs.lifecycle.machine import TIMEOUTS
from jobs.lifecycle.spec import BatchLanguage, JobKind
from jobs.queues.definitions import CONF_ALLOWED

GUIDE = (Path(__file__).parents[3] / "docs" / "batches.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SIZES)
def test_each_size_has_its_row(name: str) -> None:
    size = SIZES[name]
    heap = heap_bytes(size, BatchLanguage.PYTHON) / GIB
    row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{name}`"))
    assert row.endswith(f"| {size.cores} | {size.memory_bytes // GIB} GiB | {heap:.1f} GiB |")


@pytest.mark.parametrize("pattern", CONF_ALLOWED)
def test_each_allowed_key_is_named(pattern: str) -> None:
    assert f"`{pattern}`" in GUIDE


def test_each_end_is_named() -> None:
    for code in (*(each.code for each in ERRORS.values()), TIMEOUTS[JobKind.BATCH]):
        assert f"| `{code}` |" in GUIDE


def test_each_field_is_named() -> None:
    for name in BatchBody.model_fields.keys() - TermsBody.model_fields.keys():
        assert f"`{name}`" in GUIDE, name
