"""Tests that share something run on one worker: without it they meet there, or make it twice."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("one")
def test_workers_are_told_of_groups(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only with --dist loadgroup, as `make test` has it")
    assert request.node.nodeid.endswith("@one")
