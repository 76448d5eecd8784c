"""The story of a job in sentences: who did what, when, and why; and what would help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jobs.lifecycle.states import JobState
from jobs.views import JobEvent, JobView
from storage.base.ids import UserId


def people(view: JobView) -> frozenset[UserId]:
    """Who did something to the job."""
    return frozenset(UserId(event.detail["by"]) for event in view.history if event.detail.get("by"))


def story(view: JobView, *, names: Mapping[UserId, str] | None = None) -> tuple[str, ...]:
    """One sentence for each step, then what holds now. Times are UTC, to the second.

    ``names`` are those of ``people``; who has none is told by the id.
    """
    lines = [_told(event, names or {}) for event in view.history]
    return (*lines, *_now(view))


def _told(event: JobEvent, names: Mapping[UserId, str]) -> str:
    detail, by = event.detail, event.detail.get("by")
    if by:
        detail = {**detail, "by": names.get(by, by)}
    tell = _SENTENCES.get(event.kind)
    sentence = event.kind.replace("_", " ") if tell is None else tell(detail)
    return f"{_moment(event.at)} {sentence}"


def _now(view: JobView) -> list[str]:
    job = view.job
    lines = []
    if job.state is JobState.QUEUED:
        if view.wait is not None:
            lines.append(f"It waits: {view.wait.detail} (place {view.wait.position}).")
            if view.wait.starts_at is not None:
                lines.append(f"By what ran lately it starts about {_moment(view.wait.starts_at)}.")
            lines += [f"It would start now: {option.detail}." for option in view.wait.options]
        if job.not_before is not None and not job.waits_for_money:
            lines.append(f"Its next attempt starts at {_moment(job.not_before)} or later.")
    elif job.state is JobState.CANCELLING:
        lines.append("Its work is being stopped; it is cancelled when nothing of it is left.")
    elif not job.state.terminal:
        lines.append(f"It is {job.state.value}, attempt {job.attempt} of {job.max_attempts}.")
    if view.obstacle is not None:
        who = "Its executors do" if view.obstacle.executors else "Its pod does"
        told = f"{view.obstacle.reason}: {view.obstacle.message.rstrip('.')}"
        lines.append(f"{who} not start ({told}).")
        lines.append(f"What to do: {view.obstacle.hint}.")
    for attempt in view.attempts:
        if attempt.ended_at is not None:
            code = "no exit code" if attempt.exit_code is None else f"exit code {attempt.exit_code}"
            why = f", {attempt.reason}" if attempt.reason not in (None, "ended") else ""
            lines.append(f"Attempt {attempt.attempt} (run {attempt.run_id}) ended: {code}{why}.")
    if job.failure is not None:
        lines.append(f"It failed with {job.failure.code}: {job.failure.message}.")
        if job.failure.hint:
            lines.append(f"What to do: {job.failure.hint}.")
    return lines


def _failed(detail: Mapping[str, Any]) -> str:
    whose = {
        "user": "by its own fault",
        "platform": "by a fault of the platform",
        "out_of_memory": "for want of memory",
    }.get(str(detail.get("fault")), "")
    return f"an attempt failed {whose} ({detail.get('code')}): {detail.get('message')}"


def _cancelled(detail: Mapping[str, Any]) -> str:
    if detail.get("client_gone"):
        return "its client was not heard of in time, so it is to end"
    return f"{detail.get('by') or 'somebody'} asked for its end"


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "submitted": lambda detail: (
        f"submitted by {detail.get('by', 'its author')}"
        + (", though the budget has no money for it yet" if detail.get("waits_for") else "")
    ),
    "refused": lambda detail: f"refused ({detail.get('code')})",
    "claimed": lambda detail: (
        f"attempt {detail.get('attempt')} begins on replica {detail.get('owner')}"
    ),
    "adopted": lambda detail: f"replica {detail.get('owner')} goes on with its living run",
    "started": lambda detail: (
        f"its work starts, run {detail['run_id']}" if "run_id" in detail else "its work starts"
    ),
    "result_ready": lambda _: "its work has ended; what it made is being published",
    "published": lambda _: "finished",
    "failed": _failed,
    "lease_expired": lambda _: "its replica was silent for too long, so its attempt is given up",
    "handed_over": lambda _: "its replica stops and hands it over; no attempt is lost",
    "cancel_requested": _cancelled,
    "deadline_passed": lambda _: "its time is over",
    "stopped": lambda _: "its work was seen to have ended",
}


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
