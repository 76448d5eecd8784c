"""Each due time is decided once and submitted once, and its row says what became of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.errors import RequestInvalidError
from jobs.firings.spec import FiringState
from jobs.queues.definitions import QueueFullError
from jobs.schedules.errors import ScheduleMissingError
from jobs.schedules.spec import Missed, Overlap
from jobs.schedules.times import Cron, Interval
from storage.base.clock import ManualClock
from storage.base.ids import UserId
from storage.meta.database import Database
from tests.support.automation import AUTHOR, Office, make_office
from tests.support.jobs import NOW, PROJECT

MINUTE = timedelta(minutes=1)
OTHER = UserId("usr_other")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW + timedelta(seconds=30))


@pytest.fixture
def office(database: Database, clock: ManualClock, tmp_path: Path) -> Office:
    return make_office(database, clock, tmp_path)


def test_each_due_time_is_one_job(office: Office) -> None:
    schedule = office.schedule()
    office.pass_time(3 * MINUTE)
    assert office.told(schedule.id) == [
        "01 00:01:00 fired",
        "01 00:02:00 fired",
        "01 00:03:00 fired",
    ]
    fired = [firing.job_id for firing in office.firings(schedule.id)]
    assert fired == [job.id for job in office.jobs()]
    job = office.jobs()[0]
    assert job.user_id == AUTHOR
    assert job.spec.labels["dli.schedule"] == "each-minute"
    assert job.spec.labels["dli.firing"] == office.firings(schedule.id)[0].id


def test_how_late_each_firing_is_is_told(office: Office) -> None:
    made = office.schedule()
    office.clock.advance(timedelta(seconds=63))
    office.turn()
    [firing] = office.firings(made.id)
    assert office.desk.late == [("sch", office.clock.now() - firing.due_at)]
    assert office.desk.late[0][1] > timedelta(0)


def test_the_tick_waits_for_a_due_time_that_is_near(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule(rule=Interval(every=timedelta(seconds=10), anchor=NOW))
    clock.advance(timedelta(seconds=9, milliseconds=600))
    office.turn()
    assert office.firings(schedule.id)[0].created_at == NOW + timedelta(seconds=40)


def test_references_are_values_of_the_due_time(office: Office) -> None:
    document = {
        "kind": "statement",
        "sql": "SELECT :day, :at",
        "parameters": {"day": {"ref": "due_date", "days": -1}, "at": {"ref": "due_at"}},
    }
    office.schedule(document=document, rule=Cron(expression="30 0 * * *", zone="Europe/Berlin"))
    office.pass_time(timedelta(days=1), step=timedelta(hours=1))
    assert office.desk.documents[0]["parameters"] == {
        "day": {"type": "date", "value": "2026-01-01"},
        "at": {"type": "timestamp", "value": "2026-01-01T23:30:00.000Z"},
    }
    assert office.desk.documents[0]["sql"] == "SELECT :day, :at"


def test_two_replicas_fire_the_same_due_times_once(
    database_url: str, clock: ManualClock, tmp_path: Path
) -> None:
    databases = [Database(database_url) for _ in range(2)]
    offices = [make_office(database, clock, tmp_path) for database in databases]
    names = [f"s{number}" for number in range(20)]
    made = [offices[0].schedule(name=name) for name in names]
    clock.advance(3 * MINUTE)
    threads = [threading.Thread(target=office.turn) for office in offices for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for office in offices:
        office.turn()
    # The first two due times were missed, of which ``latest`` makes up for none.
    for schedule in made:
        states = [firing.state for firing in offices[0].firings(schedule.id)]
        assert states.count(FiringState.FIRED) == len(states) - 2 == 1
    assert len(offices[0].jobs()) == 20
    for database in databases:
        database.close()


def test_a_crash_between_row_and_submit_is_made_good(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule()
    clock.advance(MINUTE)
    office.automation.schedules.ticker.tick()
    assert office.told(schedule.id) == ["01 00:01:00 pending"]
    office.turn()  # of another life
    assert office.told(schedule.id) == ["01 00:01:00 fired"]
    assert len(office.jobs()) == 1


def test_a_crash_between_submit_and_its_row_submits_nothing_twice(
    office: Office, clock: ManualClock, tmp_path: Path
) -> None:
    schedule = office.schedule()
    clock.advance(MINUTE)
    office.automation.schedules.ticker.tick()
    submits = office.automation.submits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(submits), "_settle", lambda *_: None)  # it died before
        submits.tick()
    assert len(office.jobs()) == 1
    assert submits.tick() == 0, "claimed still"
    clock.advance(MINUTE / 2)
    submits.tick()
    firing = office.firings(schedule.id)[0]
    assert (firing.state, firing.job_id) == (FiringState.FIRED, office.jobs()[0].id)
    assert len(office.jobs()) == 1


def test_a_firing_whose_key_is_forgotten_is_found_by_its_label(
    office: Office, clock: ManualClock
) -> None:
    schedule = office.schedule(missed=Missed.SKIP)
    clock.advance(MINUTE)
    office.automation.schedules.ticker.tick()
    submits = office.automation.submits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(submits), "_settle", lambda *_: None)
        submits.tick()
    office.automation.schedules.pause(PROJECT, schedule.name)
    clock.advance(timedelta(days=3))
    office.desk.errors = [AssertionError()]  # type: ignore[list-item]  # it must not be asked
    office.turn()
    assert office.firings(schedule.id)[0].job_id == office.jobs()[0].id


@pytest.mark.parametrize(
    ("missed", "most", "expected"),
    [
        (Missed.SKIP, 1, ["skipped missed"] * 4),
        (Missed.LATEST, 1, ["skipped missed"] * 3 + ["fired"]),
        (Missed.ALL, 2, ["skipped missed"] * 2 + ["fired"] * 2),
        (Missed.ALL, 100, ["fired"] * 4),
    ],
)
def test_missed_due_times_go_by_the_policy(
    office: Office, clock: ManualClock, missed: Missed, most: int, expected: list[str]
) -> None:
    schedule = office.schedule(rule=Cron(expression="0 * * * *"), missed=missed, missed_most=most)
    clock.advance(timedelta(hours=4, minutes=10))
    office.turn()
    assert [told[12:] for told in office.told(schedule.id)] == expected
    office.pass_time(timedelta(hours=1), step=timedelta(minutes=5))
    assert office.told(schedule.id)[4] == "01 05:00:00 fired"


def test_latest_makes_up_for_nothing_when_the_next_is_due(
    office: Office, clock: ManualClock
) -> None:
    schedule = office.schedule(rule=Cron(expression="0 * * * *"))
    clock.advance(timedelta(hours=4, seconds=-10))
    office.turn()
    told = [told[12:] for told in office.told(schedule.id)]
    assert told == ["skipped missed"] * 3 + ["fired"]


def test_a_long_silence_is_told_in_one_row(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule(missed=Missed.ALL, missed_most=3)
    clock.advance(timedelta(days=300))
    office.turn()
    firings = office.firings(schedule.id)
    assert len(firings) == 101
    assert firings[0].due_at == NOW + MINUTE
    assert firings[0].until == firings[1].due_at
    assert [firing.state for firing in firings[-3:]] == [FiringState.FIRED] * 3


def test_overlap_skip_skips_while_the_job_runs(office: Office) -> None:
    schedule = office.schedule(overlap=Overlap.SKIP)
    office.pass_time(2 * MINUTE)
    office.end(office.jobs()[0].id)
    office.pass_time(MINUTE)
    assert [told[12:] for told in office.told(schedule.id)] == ["fired", "skipped overlap", "fired"]


def test_overlap_queue_lets_one_wait(office: Office) -> None:
    schedule = office.schedule(overlap=Overlap.QUEUE)
    office.pass_time(3 * MINUTE)
    told = [told[12:] for told in office.told(schedule.id)]
    assert told == ["fired", "waiting", "skipped overlap"]
    office.end(office.jobs()[0].id)
    office.turn()
    assert [told[12:] for told in office.told(schedule.id)][1] == "fired"
    assert len(office.jobs()) == 2


def test_overlap_cancel_old_ends_the_old_one_first(office: Office) -> None:
    schedule = office.schedule(overlap=Overlap.CANCEL_OLD)
    office.pass_time(3 * MINUTE)
    assert [told[12:] for told in office.told(schedule.id)] == ["fired"] * 3
    assert [job.state.value for job in office.jobs()] == ["cancelled", "cancelled", "queued"]


def test_overlap_cancel_old_keeps_the_newest_waiting(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule(overlap=Overlap.CANCEL_OLD, missed=Missed.ALL, missed_most=10)
    office.pass_time(MINUTE)
    clock.advance(3 * MINUTE)
    office.automation.schedules.ticker.tick()
    told = [told[12:] for told in office.told(schedule.id)]
    assert told == ["fired", "skipped overlap", "skipped overlap", "waiting"]
    office.turn()
    assert [told[12:] for told in office.told(schedule.id)][-1] == "fired"


def test_an_author_without_rights_fails_the_firing(office: Office) -> None:
    schedule = office.schedule()
    office.desk.gone.add(AUTHOR)
    office.pass_time(MINUTE)
    firing = office.firings(schedule.id)[0]
    assert firing.state is FiringState.FAILED
    assert firing.error is not None
    assert firing.error.code == "author_has_no_rights"


def test_a_full_queue_is_asked_again_and_given_up_after_an_hour(office: Office) -> None:
    schedule = office.schedule(rule=Cron(expression="@hourly"))
    office.desk.errors = [QueueFullError("full")] * 3
    office.pass_time(timedelta(hours=1, minutes=1), step=MINUTE / 4)
    firing = office.firings(schedule.id)[0]
    assert (firing.state, firing.attempts) == (FiringState.FIRED, 4)
    office.desk.errors = [QueueFullError("full")] * 1000
    office.pass_time(timedelta(hours=2, minutes=1), step=MINUTE)
    firing = office.firings(schedule.id)[1]
    assert firing.state is FiringState.FAILED
    assert firing.error is not None
    assert firing.error.code == "queue_full"


def test_a_refusal_is_final_and_names_its_job(office: Office) -> None:
    schedule = office.schedule()
    office.desk.errors = [RequestInvalidError("no", job_id="stm_refused")]
    office.pass_time(MINUTE)
    firing = office.firings(schedule.id)[0]
    assert (firing.state, firing.job_id) == (FiringState.FAILED, "stm_refused")


def test_a_mistake_of_ours_holds_up_no_other(office: Office, clock: ManualClock) -> None:
    made = [office.schedule(name=f"s{number}") for number in range(3)]
    clock.advance(MINUTE)
    office.automation.schedules.ticker.tick()
    office.desk.errors = [ZeroDivisionError()]  # type: ignore[list-item]
    with pytest.raises(ZeroDivisionError):
        office.automation.submits.tick()
    office.turn()
    states = [office.firings(schedule.id)[0].state for schedule in made]
    assert states.count(FiringState.FIRED) == 2
    clock.advance(MINUTE / 2)
    office.turn()
    assert office.firings(made[0].id)[0].state is FiringState.FIRED


def test_a_pause_skips_its_due_times(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule()
    schedules = office.automation.schedules
    office.pass_time(MINUTE)
    schedules.pause(PROJECT, schedule.name)
    office.pass_time(2 * MINUTE)
    assert len(office.firings(schedule.id)) == 1
    schedules.resume(PROJECT, schedule.name)
    schedules.resume(PROJECT, schedule.name)
    office.pass_time(MINUTE)
    assert office.told(schedule.id) == [
        "01 00:01:00 fired", "01 00:02:00 skipped paused", "01 00:04:00 fired",
    ]  # fmt: skip
    assert office.firings(schedule.id)[1].until == clock.now() - MINUTE


def test_a_schedule_ends(office: Office) -> None:
    schedule = office.schedule(start_at=NOW + 2 * MINUTE, end_at=NOW + 4 * MINUTE)
    office.pass_time(10 * MINUTE, step=MINUTE / 2)
    assert office.told(schedule.id) == ["01 00:02:00 fired", "01 00:03:00 fired"]
    assert office.automation.schedules.get(PROJECT, schedule.name).next_at is None


def test_jitter_comes_after_the_due_time_and_before_the_next(office: Office) -> None:
    made = [office.schedule(name=f"s{number}", jitter=timedelta(hours=1)) for number in range(20)]
    office.pass_time(3 * MINUTE)
    for schedule in made:
        for firing in office.firings(schedule.id):
            assert timedelta(0) <= firing.created_at - firing.due_at <= MINUTE
    spread = {office.firings(schedule.id)[0].created_at for schedule in made}
    assert len(spread) > 5


def test_run_now_is_in_the_name_of_who_asks(office: Office) -> None:
    schedule = office.schedule(overlap=Overlap.SKIP)
    made = [office.automation.schedules.run(PROJECT, schedule.name, by=AUTHOR) for _ in range(3)]
    office.turn()
    assert len({firing.due_at for firing in made}) == 3
    assert [firing.state for firing in office.firings(schedule.id)] == [FiringState.FIRED] * 3


def test_a_change_counts_from_now_and_makes_its_writer_the_author(office: Office) -> None:
    schedule = office.schedule()
    schedules = office.automation.schedules
    other = replace(schedule, rule=Cron(expression="0 5 * * *"))
    changed = schedules.update(other, by=OTHER)
    assert (changed.version, changed.user_id) == (2, OTHER)
    assert changed.next_due == datetime(2026, 1, 1, 5, tzinfo=UTC)


def test_a_change_of_jitter_loses_no_due_time(office: Office, clock: ManualClock) -> None:
    day = Interval(every=timedelta(days=1), anchor=NOW)
    late = timedelta(hours=1)
    made = [
        office.schedule(name=f"s{number}", rule=day, start_at=NOW + timedelta(hours=1), jitter=late)
        for number in range(3)
    ]
    clock.advance(timedelta(days=1))  # due half a minute ago, put off by most of an hour
    office.turn()
    held = next(each for each in made if not office.firings(each.id))
    changed = replace(held, jitter=timedelta(0), missed_most=2)
    office.automation.schedules.update(changed, by=AUTHOR)
    office.turn()
    assert office.told(held.id) == ["02 00:00:00 fired"]


def test_a_schedule_may_start_with_the_calendar(office: Office) -> None:
    schedule = office.schedule(start_at=datetime.min.replace(tzinfo=UTC))
    assert schedule.next_due == NOW + MINUTE


def test_delete_takes_what_waits_along(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule()
    clock.advance(MINUTE)
    office.automation.schedules.ticker.tick()
    office.automation.schedules.delete(PROJECT, schedule.name)
    office.turn()
    assert office.jobs() == []
    with pytest.raises(ScheduleMissingError):
        office.automation.schedules.get(PROJECT, schedule.name)


def test_what_ended_long_ago_is_forgotten(office: Office, clock: ManualClock) -> None:
    schedule = office.schedule()
    office.pass_time(3 * MINUTE)
    office.automation.schedules.pause(PROJECT, schedule.name)
    clock.advance(timedelta(days=29))
    assert office.automation.sweep() == 0
    clock.advance(timedelta(days=2))
    assert office.automation.sweep() == 3
    assert office.firings(schedule.id) == []
