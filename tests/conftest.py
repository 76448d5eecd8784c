"""Fixtures that every test may use; what they do is in tests/support."""

from __future__ import annotations

from hypothesis import settings

# A time limit for each example would find out how busy the machine is.
settings.register_profile("dli", deadline=None)
settings.load_profile("dli")

pytest_plugins = [
    "tests.support.servers",
    "tests.support.databases",
    "tests.support.engines",
]
