"""Pods that the API server does not take at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.launchers import pod_objects
from jobs.launchers.api import LaunchRefusedError, RunState
from jobs.launchers.problems import Again
from tests.support.api_servers import ApiServer, launcher_of, leased


@pytest.mark.parametrize(("times", "starts"), [(3, True), (99, False)])
def test_quota_that_another_changes_is_tried_again(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, starts: bool
) -> None:
    """Several API servers count at one quota, and give up after three tries of their own."""
    monkeypatch.setattr(pod_objects, "_PAUSES", (0.001,) * 5)
    api.contended = times
    with launcher_of(api, tmp_path) as launcher:
        made = leased(launcher, "a")
        if starts:
            assert launcher.launch(made).state is RunState.STARTING
            return
        with pytest.raises(LaunchRefusedError) as caught:
            launcher.launch(made)
        assert caught.value.problem.again is Again.LATER
        assert api.contended > 80, "not for ever"
