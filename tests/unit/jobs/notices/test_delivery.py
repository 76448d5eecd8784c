"""What ends is told at least once, signed, again after pauses, and not for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.documents import Submitter
from jobs.lifecycle.spec import JobKind
from jobs.notices import store
from jobs.notices.delivery import MOST_ATTEMPTS, pause_after
from jobs.notices.outbox import delivery
from jobs.notices.spec import (
    Delivery,
    DeliveryState,
    NoticeEvent,
    Webhook,
    WebhookExistsError,
    WebhookInvalidError,
    WebhookMissingError,
    validated,
)
from jobs.notices.targets import TargetForbiddenError
from jobs.signing import DELIVERY, SIGNATURE, TIMESTAMP, check_signature
from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId, new_id
from storage.meta.database import Database
from tests.support.automation import AUTHOR, STATEMENT, Office, Target, make_office, target
from tests.support.jobs import NOW, PROJECT


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def office(database: Database, clock: ManualClock, tmp_path: Path) -> Office:
    return make_office(database, clock, tmp_path)


@pytest.fixture
def listener() -> Iterator[Target]:
    with target() as made:
        yield made


def webhook(url: str, **changes: Any) -> Webhook:
    made = Webhook(
        id=new_id("whk", NOW),
        project_id=PROJECT,
        name="news",
        url=url,
        user_id=AUTHOR,
        created_at=NOW,
        secret="whs_secret",
    )
    return replace(made, **changes)


def ended(office: Office, labels: dict[str, str] | None = None) -> JobId:
    """A job that has ended just now."""
    by = Submitter(project_id=PROJECT, user_id=AUTHOR, may_write=True, labels=labels or {})
    job = office.desk.submit(STATEMENT, by=by, key=new_id("key", NOW)).job
    office.end(job.id)
    return job.id


def send(office: Office) -> None:
    while office.automation.webhooks.deliveries.tick():
        pass


def sent(office: Office, name: str = "news") -> list[Delivery]:
    page = office.automation.webhooks.page(PROJECT, name, cursor=None, limit=100)
    return list(reversed(page.items))


def test_the_end_of_a_job_is_told_with_a_signature(office: Office, listener: Target) -> None:
    office.automation.webhooks.create(webhook(listener.url + "/in"))
    job_id = ended(office, {"team": "a"})
    send(office)
    got = listener.received[0]
    told = json.loads(got.body)
    assert (told["event"], told["job"]["id"], told["job"]["labels"]) == (
        "job.cancelled", job_id, {"team": "a"},
    )  # fmt: skip
    assert told["id"] == got.headers[DELIVERY] == sent(office)[0].id
    check_signature(
        "whs_secret",
        timestamp=got.headers[TIMESTAMP],
        delivery=got.headers[DELIVERY],
        signature=got.headers[SIGNATURE],
        body=got.body,
        now=NOW,
    )
    assert sent(office)[0].state is DeliveryState.DELIVERED


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({}, True),
        ({"events": (NoticeEvent.CANCELLED,)}, True),
        ({"events": (NoticeEvent.FAILED, NoticeEvent.FINISHED)}, False),
        ({"kinds": (JobKind.STATEMENT,)}, True),
        ({"kinds": (JobKind.BATCH,)}, False),
        ({"labels": {"team": "a"}}, True),
        ({"labels": {"team": "a", "more": "b"}}, False),
        ({"project_id": ProjectId("other")}, False),
    ],
)
def test_only_what_was_asked_for_is_told(
    office: Office, listener: Target, changes: dict[str, Any], heard: bool
) -> None:
    office.automation.webhooks.create(webhook(listener.url, **changes))
    ended(office, {"team": "a"})
    send(office)
    assert bool(listener.received) is heard


def test_what_is_not_taken_is_sent_again_later(
    office: Office, clock: ManualClock, listener: Target
) -> None:
    office.automation.webhooks.create(webhook(listener.url))
    ended(office)
    listener.statuses = [500, 503]
    send(office)
    first = sent(office)[0]
    assert (first.state, first.attempts, first.status) == (DeliveryState.PENDING, 1, 500)
    assert first.error is not None
    assert first.error.code == "webhook_target_refused"
    send(office)
    assert len(listener.received) == 1, "not yet"
    clock.advance(timedelta(seconds=10))
    send(office)
    clock.advance(timedelta(seconds=30))
    send(office)
    assert [got.headers[DELIVERY] for got in listener.received] == [first.id] * 3
    assert sent(office)[0].state is DeliveryState.DELIVERED


def test_a_target_that_stays_away_is_given_up(
    office: Office, clock: ManualClock, listener: Target
) -> None:
    office.automation.webhooks.create(webhook(listener.url))
    ended(office)
    listener.statuses = [404] * 100
    for _ in range(20):
        send(office)
        clock.advance(timedelta(hours=6))
    dead = sent(office)[0]
    assert (dead.state, dead.attempts, dead.status) == (DeliveryState.DEAD, MOST_ATTEMPTS, 404)
    assert dead.error is not None
    assert len(listener.received) == MOST_ATTEMPTS


def test_one_try_is_enough_for_all_that_waits_for_a_dead_target(
    office: Office, listener: Target
) -> None:
    office.automation.webhooks.create(webhook(listener.url))
    listener.statuses = [500] * 100
    for _ in range(5):
        ended(office)
    send(office)
    assert len(listener.received) == 1
    assert [delivery.attempts for delivery in sent(office)] == [1, 0, 0, 0, 0]


def test_a_crash_after_the_target_took_it_sends_it_again(
    office: Office, clock: ManualClock, listener: Target
) -> None:
    office.automation.webhooks.create(webhook(listener.url))
    ended(office)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.notices.store.settle", lambda *_: None)
        office.automation.webhooks.deliveries.tick()
    clock.advance(timedelta(minutes=3))
    send(office)
    ids = [got.headers[DELIVERY] for got in listener.received]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_target_that_became_private_is_given_up_at_once(
    database: Database, clock: ManualClock, tmp_path: Path, listener: Target
) -> None:
    office = make_office(database, clock, tmp_path)
    office.automation.webhooks.create(webhook(listener.url))
    ended(office)
    strict = make_office(database, clock, tmp_path, private=False)
    send(strict)
    dead = sent(strict)[0]
    assert dead.state is DeliveryState.DEAD
    assert dead.error is not None
    assert dead.error.code == "webhook_target_forbidden"
    with pytest.raises(TargetForbiddenError):
        strict.automation.webhooks.create(webhook(listener.url, name="other"))


def test_a_firing_that_failed_is_told(office: Office, clock: ManualClock, listener: Target) -> None:
    office.automation.webhooks.create(webhook(listener.url, events=(NoticeEvent.FIRING_FAILED,)))
    office.schedule()
    office.desk.gone.add(AUTHOR)
    office.pass_time(timedelta(minutes=1))
    send(office)
    told = json.loads(listener.received[0].body)
    assert told["firing"]["error"]["code"] == "author_has_no_rights"


def test_webhooks_are_kept_by_name(office: Office, listener: Target) -> None:
    webhooks = office.automation.webhooks
    made = webhooks.create(webhook(listener.url))
    with pytest.raises(WebhookExistsError):
        webhooks.create(webhook(listener.url))
    assert webhooks.get(PROJECT, "news") == made
    assert "whs_secret" not in repr(made)
    ended(office)
    webhooks.delete(PROJECT, "news")
    send(office)
    assert listener.received == []
    with pytest.raises(WebhookMissingError):
        webhooks.get(PROJECT, "news")


def test_what_is_posted_to_a_deleted_webhook_is_dropped(office: Office, clock: ManualClock) -> None:
    made = office.automation.webhooks.create(webhook("http://127.0.0.1:9/", id="whk_1"))
    office.automation.webhooks.delete(PROJECT, made.name)
    with office.database.transaction() as tx:
        store.post(tx, [delivery(made, NoticeEvent.TEST, {}, at=clock.now()) for _ in range(2)])
    send(office)
    clock.advance(timedelta(days=1))
    with office.database.read() as tx:
        assert not store.any_due(tx, now=clock.now())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "No"}, "name"),
        ({"url": "ftp://host/x"}, "url"),
        ({"url": "https:///x"}, "url"),
        ({"url": "https://user:secret@host/"}, "url"),
        ({"url": "https://host:99999/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"events": (NoticeEvent.TEST,)}, "events"),
        ({"labels": {str(number): "x" for number in range(20)}}, "labels"),
    ],
)
def test_a_wrong_webhook_is_explained(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(WebhookInvalidError) as caught:
        validated(
            webhook("https://host/", **changes) if "url" not in changes else webhook(**changes)
        )
    assert caught.value.details["field"] == field


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, 40)]
    assert timedelta(seconds=5) <= pauses[0] <= timedelta(seconds=10)
    assert max(pauses) <= timedelta(hours=6)
    assert pauses[8] > timedelta(hours=2)
