"""What settings of jobs mean together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.lifecycle.spec import JobKind
from jobs.settings import JobSettings


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize("lease", [1, 15, 600])
@pytest.mark.parametrize("run_lease", [15, 60, 3600])
def test_each_lease_is_renewed_three_times_in_it(kind: JobKind, lease: int, run_lease: int) -> None:
    seconds = timedelta(seconds=1)
    settings = JobSettings(lease=lease * seconds, run_lease=run_lease * seconds)
    assert 3 * settings.renew_every(kind) <= settings.lease_of(kind)
