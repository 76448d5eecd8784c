"""Why an engine shall get no more statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.access.credentials import Access, CredentialsMissingError
from jobs.engines.api import Images
from jobs.engines.members import Member, PoolSettings
from jobs.engines.places import Places
from jobs.launchers.api import Launcher
from storage.base.clock import Clock

DISOWNED = "credentials"  #: the verdict on an engine that knows other ones than its project's
_DISOWNED_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """``access`` is who a project is in buckets, ``images`` those that a queue's engines have."""

    launcher: Launcher
    clock: Clock
    settings: PoolSettings
    places: Places
    access: Access
    images: Images | None

    def of(self, member: Member, *, kept: bool) -> str | None:
        """The reason, if there is one. ``kept``: it stays though nobody uses it."""
        settings, now = self.settings, self.clock.monotonic()
        if member.retired is not None:
            return self._deaf(member, now) or member.retired
        status = self.launcher.status(member.run_id)
        if status.state.ended:
            return "dead"
        member.obstacles.tell(status)
        if (closed := self.places.closed_to(member) or self.places.left_by(member)) is not None:
            return closed
        if (deaf := self._deaf(member, now)) is not None:
            return deaf
        if self.images is not None:
            wanted = self.images(member.key.project_id, member.key.queue)
            if member.key.image not in wanted:
                return "image"
        unused = not member.users and not kept
        if unused and now - member.used_at >= settings.idle.total_seconds():
            return "idle"
        if now - member.ready_at >= settings.max_age.total_seconds():
            return "old"
        if member.served >= settings.max_statements:
            return "served enough"
        if status.rss_bytes > settings.max_rss_share * settings.memory[member.key.engine]:
            return "large"
        return self._disowned(member, now)

    def _disowned(self, member: Member, now: float) -> str | None:
        """Whether its project has other credentials by now; looked at now and then, since whoever
        acquires an engine looks as well."""
        if now - member.known_at < _DISOWNED_EVERY.total_seconds():
            return None
        member.known_at = now
        try:
            same = self.access(member.key.project_id) == member.credentials
        except CredentialsMissingError:
            same = False
        return None if same else DISOWNED

    def _deaf(self, member: Member, now: float) -> str | None:
        """Ask it something, now and then; "deaf" when it was silent for too long."""
        if now - member.probed_at < self.settings.probe_every.total_seconds():
            return None
        client = member.client
        assert client is not None
        member.probed_at = now
        if client.alive(self.settings.probe_timeout.total_seconds()):
            member.silent_since = None
            return None
        member.silent_since = member.silent_since or now
        silent = self.clock.monotonic() - member.silent_since
        return "deaf" if silent >= self.settings.deaf_after.total_seconds() else None
