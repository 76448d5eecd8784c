"""What is kept alive, and what is cleared away, without being asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.launchers import pod_upkeep
from jobs.launchers.identity import moment
from jobs.launchers.pod_known import Known
from jobs.launchers.pods import DRIVER
from storage.base.ids import RunId
from tests.support.api_servers import ApiServer, launcher_of, living
from tests.support.runs import eventually


def test_what_was_known_of_a_pod_goes_with_it(api: ApiServer, tmp_path: Path) -> None:
    """Whoever shows the logs of others' runs is not the one that forgets these."""
    api.pages = [[living("a")]]
    with launcher_of(api, tmp_path) as launcher:
        for run_id in (RunId("run_a_1"), RunId("run_b_1")):
            assert launcher.logs(run_id).data == b""
            launcher.renew([run_id], at=moment())
        launcher._upkeep.sweep()
        assert RunId("run_a_1") in launcher._memory
        assert RunId("run_b_1") not in launcher._memory


def test_engines_are_renewed_while_the_server_is_slow(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would end by their lease, and all that runs on them, for what is only tidied up."""
    monkeypatch.setattr(pod_upkeep, "_EVERY", 0.01)
    executor = living("exec")
    executor["metadata"]["labels"] |= {DRIVER: "run_of_before"}
    executor["status"] = {"phase": "Succeeded"}
    api.pages = [[executor]]
    api.slow.clear()
    with launcher_of(api, tmp_path) as launcher:
        known = Known(engine=True)
        launcher._memory.keep(RunId("run_engine"), known)
        eventually(lambda: launcher.calls.get("PATCH"))
        before = moment()
        eventually(lambda: known.asked > before)
        launcher._memory.forget(RunId("run_engine"))


def test_secret_of_a_pod_that_is_not_seen_stays(api: ApiServer, tmp_path: Path) -> None:
    """A list may be of long ago, while the watch is broken; executors still need the secret."""
    api.secrets, api.hidden = ["run-a-1", "run-b-1"], {"run-a-1"}
    with launcher_of(api, tmp_path) as launcher:
        assert launcher._upkeep.sweep() == 1
        assert api.deleted == ["run-b-1"]
