"""What is said of the end of a pod."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers.api import RunState
from storage.base.ids import RunId
from tests.support.api_servers import ApiServer, launcher_of, living


def test_run_ends_beside_a_side_car_that_goes_on(api: ApiServer, tmp_path: Path) -> None:
    over = living("a")
    end = {"exitCode": 3, "reason": "Error", "message": json.dumps({"code": 3, "reason": None})}
    over["status"] = {
        "phase": "Running",
        "containerStatuses": [
            {"name": "run", "state": {"terminated": end}},
            {"name": "logs", "state": {"running": {}}},
        ],
    }
    api.pages = [[over]]
    with launcher_of(api, tmp_path) as launcher:
        status = launcher.status(RunId("run_a_1"))
        assert (status.state, status.exit_code) == (RunState.EXITED, 3)
        launcher._objects.clear("run-a-1")
        assert api.deleted == ["run-a-1", "run-a-1"], "the pod and its secret"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"code": 7, "reason": None}, None),
        ({"code": -15, "reason": "stopped"}, "cancelled"),
        ({"code": -9, "reason": "memory"}, "memory"),
        ({"code": None, "reason": "inputs"}, "cancelled"),
        (None, "cancelled"),
    ],
)
def test_a_stop_is_the_reason_of_what_it_ended(
    api: ApiServer, tmp_path: Path, told: dict[str, Any] | None, reason: str | None
) -> None:
    over = living("a")
    end = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-29T06:00:04Z"}
    end |= {} if told is None else {"message": json.dumps(told)}
    over["status"] = {
        "phase": "Failed", "containerStatuses": [{"name": "run", "state": {"terminated": end}}],
    }  # fmt: skip
    over["metadata"]["resourceVersion"] = "4"
    api.pages = [[living("a")]]
    with launcher_of(api, tmp_path) as launcher:
        threading.Timer(0.2, api.tell, ("MODIFIED", over)).start()
        grace = timedelta(seconds=5)
        status = launcher.stop(RunId("run_a_1"), grace=grace, reason="cancelled")
        assert (status.state.ended, status.reason) == (True, reason)
