"""Sail as several images would have it, where no images are: runs follow their image's name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.canaries.spec import Canary
from jobs.canaries.trials import Outcome, Trial, TrialKind
from jobs.engines.api import EngineClient, EngineNeed
from jobs.engines.sail import SailEngine, SailSettings
from jobs.launchers.api import RunSpec
from storage.base.ids import CanaryId, JobId, UserId
from tests.support.jobs import NOW, PROJECT

NEW = "engines:2"
TOKYO = "engines:tokyo"  #: its sessions have another time zone
BROKEN = "engines:broken"  #: it ends at once


class ImagedSail(SailEngine):
    """A real Sail for every image, but that of some it is another one."""

    def __init__(self) -> None:
        super().__init__(SailSettings())
        confs = {**self._dialect.confs, "spark.sql.session.timeZone": "Asia/Tokyo"}
        self._tokyo = SailEngine(SailSettings())
        self._tokyo._dialect = replace(self._dialect, confs=confs)
        self._images: dict[str, str | None] = {}  # by the tokens of needs

    def plan(self, need: EngineNeed) -> RunSpec:
        """What the image of the need starts."""
        image = self._images[need.token] = need.terms.image
        spec = super().plan(need)
        return replace(spec, command=("/bin/false",)) if image == BROKEN else spec

    def connect(self, address: str, token: str) -> EngineClient:
        """As the image asks for."""
        if self._images[token] == TOKYO:
            return self._tokyo.connect(address, token)
        return super().connect(address, token)


def make_canary(**changes: Any) -> Canary:
    """A canary of the default queue, with ``changes``."""
    values: dict[str, Any] = {
        "id": CanaryId("cny_1"),
        "project_id": PROJECT,
        "queue": "default",
        "image": NEW,
        "percent": 10,
        "shadow": 0,
        "max_errors": None,
        "replaces": None,
        "started_at": NOW,
        "started_by": UserId("usr_1"),
    }
    return Canary(**values | changes)


def make_trial(**changes: Any) -> Trial:
    """A query that gave the same on the canary, with ``changes``."""
    values: dict[str, Any] = {
        "canary_id": CanaryId("cny_1"),
        "job_id": JobId("stm_1"),
        "kind": TrialKind.SHADOW,
        "at": NOW,
        "outcome": Outcome.EQUAL,
    }
    return Trial(**values | changes)
