"""What pulls a trigger pulls it once; who looks, who calls and what ends are all remembered."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from jobs.documents import Submitter
from jobs.firings.errors import ReferenceInvalidError
from jobs.firings.spec import LABEL_CHAIN, LABEL_SCHEDULE, FiringState, SkipReason
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.signing import SignatureInvalidError, signature_of
from jobs.triggers.endings import LONGEST_CHAIN, chain_of, fits
from jobs.triggers.rows import trigger_objects
from jobs.triggers.service import Call
from jobs.triggers.spec import (
    Condition,
    HookCalled,
    JobEnds,
    ObjectAppears,
    PayloadInvalidError,
    Trigger,
    TriggerExistsError,
    TriggerInvalidError,
    TriggerMissingError,
)
from storage.base.clock import ManualClock
from storage.base.ids import new_id
from storage.meta.database import Database
from storage.objects.locations import LocationForbiddenError
from tests.support.automation import AUTHOR, STATEMENT, Office, make_office
from tests.support.jobs import NOW, PROJECT, make_batch_spec, make_job, make_spec

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def office(database: Database, clock: ManualClock, tmp_path: Path) -> Office:
    return make_office(database, clock, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "landing"
    made.mkdir()
    return made


def trigger(on: Condition, **changes: Any) -> Trigger:
    made = Trigger(
        id=new_id("trg", NOW),
        project_id=PROJECT,
        name="pull",
        on=on,
        document=STATEMENT,
        user_id=AUTHOR,
        created_at=NOW,
    )
    return replace(made, **changes)


def with_parameter(reference: str) -> dict[str, Any]:
    return {**STATEMENT, "parameters": {"x": {"ref": reference}}}


def values(office: Office) -> list[Any]:
    """The parameter of each job that has one, in the order of the jobs."""
    documents = office.desk.documents
    return [each["parameters"]["x"] for each in documents if "parameters" in each]


def submitted(office: Office, **labels: str) -> None:
    """A job that ends at once."""
    by = Submitter(project_id=PROJECT, user_id=AUTHOR, may_write=True, labels=labels)
    office.end(office.desk.submit(STATEMENT, by=by, key=new_id("key", NOW)).job.id)


# objects


def test_each_new_object_is_fired_once(office: Office, folder: Path) -> None:
    (folder / "old.csv").write_text("1")
    on = ObjectAppears(prefix=str(folder))
    office.automation.triggers.create(trigger(on, document=with_parameter("object_uri")))
    office.turn()
    (folder / "a.csv").write_text("1")
    (folder / "_unfinished").write_text("1")
    office.pass_time(3 * MINUTE)
    (folder / "b.csv").write_text("1")
    office.pass_time(3 * MINUTE)
    assert values(office) == [f"file://{folder}/a.csv", f"file://{folder}/b.csv"]
    (folder / "a.csv").write_text("changed")
    office.pass_time(2 * MINUTE)
    assert values(office)[2:] == [f"file://{folder}/a.csv"]


def test_what_exists_is_new_if_that_is_asked_for(office: Office, folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.csv").write_text("1")
    on = ObjectAppears(prefix=f"{folder}/*.csv", existing=True)
    made = office.automation.triggers.create(trigger(on))
    office.turn()
    assert len(office.firings(made.id)) == 3


def test_many_objects_are_fired_in_parts(
    office: Office, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.triggers.objects._AT_ONCE", 4)
    for number in range(10):
        (folder / f"{number}.csv").write_text("1")
    made = office.automation.triggers.create(
        trigger(ObjectAppears(prefix=str(folder), existing=True))
    )
    watcher = office.automation.triggers.watcher
    counts = []
    while watcher.tick():
        counts.append(len(office.firings(made.id)))
    assert counts == [4, 8, 10]


def test_objects_that_are_long_gone_are_forgotten(office: Office, folder: Path) -> None:
    for name in ("gone", "stays"):
        (folder / name).write_text("1")
    made = office.automation.triggers.create(trigger(ObjectAppears(prefix=str(folder))))
    office.turn()
    (folder / "gone").unlink()
    counts = []
    for days in (29, 2, 31):
        office.clock.advance(timedelta(days=days))
        office.turn()
        with office.database.read() as tx:
            counts.append(tx.execute(select(func.count()).select_from(trigger_objects)).scalar())
    assert counts == [2, 1, 1]
    assert office.firings(made.id) == []


def test_two_replicas_see_an_object_once(
    database_url: str, clock: ManualClock, tmp_path: Path, folder: Path
) -> None:
    databases = [Database(database_url) for _ in range(2)]
    offices = [make_office(database, clock, tmp_path) for database in databases]
    made = offices[0].automation.triggers.create(
        trigger(ObjectAppears(prefix=str(folder), existing=True))
    )
    for number in range(20):
        (folder / f"{number}.csv").write_text("1")
    threads = [threading.Thread(target=office.turn) for office in offices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    offices[0].turn()
    assert len(offices[0].firings(made.id)) == len(offices[0].jobs()) == 20
    for database in databases:
        database.close()


def test_a_place_that_is_away_is_told_and_looked_at_again(
    office: Office, clock: ManualClock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triggers = office.automation.triggers
    triggers.create(trigger(ObjectAppears(prefix=str(folder))))
    office.turn()
    link = folder / "out"
    link.symlink_to("/etc")
    clock.advance(MINUTE)
    office.turn()
    told = triggers.get(PROJECT, "pull").error
    assert told is not None
    assert told.code == "location_forbidden"
    link.unlink()
    clock.advance(MINUTE)
    office.turn()
    assert triggers.get(PROJECT, "pull").error is None


def test_places_that_may_not_be_read_are_refused(office: Office) -> None:
    with pytest.raises(LocationForbiddenError):
        office.automation.triggers.create(trigger(ObjectAppears(prefix="/etc")))


def test_a_pause_is_made_up_for(office: Office, folder: Path) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(ObjectAppears(prefix=str(folder))))
    office.turn()
    triggers.set_paused(PROJECT, "pull", True)
    (folder / "a.csv").write_text("1")
    office.pass_time(2 * MINUTE)
    assert office.firings(made.id) == []
    triggers.set_paused(PROJECT, "pull", False)
    office.turn()
    assert len(office.firings(made.id)) == 1


# signed requests


def called(made: Trigger, *, delivery: str = "d", body: bytes = b"{}", secret: str = "") -> Call:
    at = int(NOW.timestamp())
    signature = signature_of(
        secret or made.secret or "", timestamp=at, delivery=delivery, body=body
    )
    return Call(timestamp=str(at), delivery=delivery, signature=signature, body=body)


def test_a_delivery_is_one_firing(office: Office) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled(), document=with_parameter("payload.n")))
    first = triggers.call(made.id, called(made, body=b'{"n": 1}'))
    assert triggers.call(made.id, called(made, body=b'{"n": 1}')).id == first.id
    triggers.call(made.id, called(made, delivery="e", body=b'{"n": 2}'))
    office.turn()
    assert triggers.call(made.id, called(made, body=b'{"n": 1}')).state is FiringState.FIRED
    assert values(office) == [1, 2]


def test_who_does_not_know_the_secret_is_not_heard(office: Office) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled()))
    other = triggers.create(trigger(JobEnds(), name="other"))
    for trigger_id, call in (
        (made.id, called(made, secret="whs_other")),
        ("trg_unknown", called(made)),
        (other.id, called(made)),
    ):
        with pytest.raises(SignatureInvalidError):
            triggers.call(trigger_id, call)
    assert office.firings(made.id) == []
    assert made.secret is not None
    assert made.secret not in repr(made)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_payload_is_an_object(office: Office, body: bytes) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled()))
    with pytest.raises(PayloadInvalidError):
        triggers.call(made.id, called(made, body=body))


def test_a_payload_without_what_is_needed_fires_nothing(office: Office) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled(), document=with_parameter("payload.n")))
    with pytest.raises(ReferenceInvalidError):
        triggers.call(made.id, called(made, body=b""))
    assert office.firings(made.id) == []


def test_a_paused_hook_skips(office: Office) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled(), paused=True))
    firing = triggers.call(made.id, called(made))
    assert (firing.state, firing.reason) == (FiringState.SKIPPED, SkipReason.PAUSED)
    office.turn()
    assert office.jobs() == []


# ends of jobs


def test_the_end_of_a_job_is_one_firing(office: Office) -> None:
    on = JobEnds(labels={"step": "one"})
    office.automation.triggers.create(trigger(on, document=with_parameter("job_id")))
    submitted(office, step="one")
    submitted(office, step="two")
    office.turn()
    assert values(office) == [office.jobs()[0].id]
    assert len(office.jobs()) == 3


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (JobEnds(), True),
        (JobEnds(kinds=(JobKind.BATCH,), states=(JobState.FAILED,), name="count"), True),
        (JobEnds(kinds=(JobKind.STATEMENT,)), False),
        (JobEnds(states=(JobState.FINISHED,)), False),
        (JobEnds(name="other"), False),
        (JobEnds(schedule="nightly"), True),
        (JobEnds(schedule="daily"), False),
        (JobEnds(labels={"a": "b"}), False),
    ],
)
def test_all_conditions_must_hold(on: JobEnds, expected: bool) -> None:
    spec = make_batch_spec(labels={LABEL_SCHEDULE: "nightly"})
    assert fits(on, make_job(kind=JobKind.BATCH, spec=spec, state=JobState.FAILED)) is expected


def test_a_trigger_is_not_pulled_by_its_own_jobs(office: Office) -> None:
    made = office.automation.triggers.create(trigger(JobEnds()))
    submitted(office)
    office.turn()
    office.end(office.jobs()[-1].id)
    office.turn()
    assert len(office.firings(made.id)) == 1


def test_triggers_that_pull_each_other_come_to_an_end(office: Office) -> None:
    triggers = office.automation.triggers
    one = triggers.create(trigger(JobEnds(), name="one"))
    two = triggers.create(trigger(JobEnds(), name="two"))
    submitted(office, start="here")
    for _ in range(20):
        office.turn()
        for job in office.jobs():
            office.end(job.id)
    failed = [
        firing
        for made in (one, two)
        for firing in office.firings(made.id)
        if firing.state is FiringState.FAILED
    ]
    assert failed
    assert {firing.error and firing.error.code for firing in failed} == {"trigger_chain_too_long"}
    assert len(office.jobs()) <= 1 + 2 * LONGEST_CHAIN


@pytest.mark.parametrize(("text", "chain"), [("3", 3), ("x", 0), ("-1", 0), ("9999", 0), ("٣", 0)])
def test_a_chain_is_read_from_a_label_that_anybody_may_write(text: str, chain: int) -> None:
    assert chain_of(make_job(spec=make_spec(labels={LABEL_CHAIN: text}))) == chain


# all


def test_triggers_are_kept_by_name(office: Office) -> None:
    triggers = office.automation.triggers
    made = triggers.create(trigger(HookCalled()))
    with pytest.raises(TriggerExistsError):
        triggers.create(trigger(JobEnds()))
    assert triggers.list(PROJECT) == (made,)
    triggers.delete(PROJECT, "pull")
    with pytest.raises(TriggerMissingError):
        triggers.get(PROJECT, "pull")
    submitted(office)
    office.turn()
    assert len(office.jobs()) == 1


@pytest.mark.parametrize(
    ("on", "changes", "kind"),
    [
        (JobEnds(states=(JobState.RUNNING,)), {}, TriggerInvalidError),
        (ObjectAppears(prefix="/x", every=timedelta(seconds=1)), {}, TriggerInvalidError),
        (HookCalled(), {"name": "No"}, TriggerInvalidError),
        (JobEnds(), {"document": with_parameter("payload.x")}, ReferenceInvalidError),
        (HookCalled(), {"document": with_parameter("object_uri")}, ReferenceInvalidError),
    ],
)
def test_a_wrong_trigger_is_refused(
    office: Office, on: Condition, changes: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        office.automation.triggers.create(trigger(on, **changes))
