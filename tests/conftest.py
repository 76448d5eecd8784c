"""Fixtures that every test may use; what they do is in tests/support."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.servers",
    "tests.support.databases",
    "tests.support.engines",
]
