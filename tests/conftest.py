"""Fixtures that every test may use; what they do is in tests/support."""

from __future__ import annotations

import logging

import pytest
from hypothesis import settings

# A time limit for each example would find out how busy the machine is.
settings.register_profile("dli", deadline=None)
settings.load_profile("dli")

pytest_plugins = [
    "tests.support.servers",
    "tests.support.databases",
    "tests.support.engines",
]

_OF_ANY_LINE = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


class _Whole(logging.Formatter):
    """What a line says beside its message too: the reason is there, and pytest leaves it out."""

    def format(self, record: logging.LogRecord) -> str:
        extras = {name: it for name, it in vars(record).items() if name not in _OF_ANY_LINE}
        return f"{super().format(record)} {extras or ''}".rstrip()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """The log lines of a failed test are whole in its report."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    if plugin is not None:
        plugin.report_handler.setFormatter(
            _Whole("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        )
