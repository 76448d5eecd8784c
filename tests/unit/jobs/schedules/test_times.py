"""When rules are due, beside two crons of other people, and over changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedules.errors import ScheduleInvalidError
from jobs.schedules.times import (
    END,
    Cron,
    Interval,
    Once,
    Rule,
    check_rule,
    due_between,
    jitter_of,
    next_after,
    zone_of,
)

#: Half hours, an hour, two hours, changes at midnight, none at all, and the other half of the year.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
    "Asia/Kolkata", "Africa/Cairo", "America/Havana", "Pacific/Auckland", "Antarctica/Troll",
)  # fmt: skip
#: cronsim goes by whole hours, so over the half hour by which Lord Howe changes its clocks, and is
#: due at 1:00 for ``* */5 * * *`` where there is no midnight.
FOR_CRONSIM = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Antarctica/Troll")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def field(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    """Texts of one field."""
    one = st.integers(low, high)
    # Both references read ``5-5/2`` in ways of their own.
    pairs = st.lists(one, min_size=2, max_size=2, unique=True).map(sorted)
    spans = pairs.map(lambda pair: f"{pair[0]}-{pair[1]}")
    stepped = st.tuples(spans, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    single = st.one_of(one.map(str), spans, stepped, *(st.just(text) for text in more))
    return st.lists(single, min_size=1, max_size=3).map(",".join)


STARS = st.sampled_from(["*", "*/2", "*/5", "*/7"])
MINUTES, HOURS = field(0, 59), field(0, 23)
DAYS = st.one_of(st.just("*"), field(1, 31, "L"))
MONTHS = st.one_of(st.just("*"), field(1, 12, "jan", "oct", "mar"))
WEEKDAYS = st.one_of(st.just("*"), field(0, 7, "mon", "sun", "5#2", "0#1", "3L", "7#3"))
DATES = st.tuples(DAYS, MONTHS, WEEKDAYS).map(" ".join)
#: Minutes from the beginning of 2025 on, so that every zone changes its clock a few times.
MOMENTS = st.integers(0, 3 * 366 * 1440).map(
    lambda minute: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
)


def ours(rule: Rule, moment: datetime, count: int) -> list[datetime]:
    """The next due times."""
    found: list[datetime] = []
    for _ in range(count):
        due = next_after(rule, moment)
        if due is None:
            break
        found.append(due)
        moment = due
    return found


def of_cronsim(expression: str, zone: str, moment: datetime, count: int) -> list[datetime]:
    """The same by cronsim, which does as the cron of Debian does."""
    times = CronSim(expression, moment.astimezone(ZoneInfo(zone)))
    found: list[datetime] = []
    for _ in range(count):
        due = next(times, None)
        if due is None:
            break
        due = due.astimezone(UTC)
        if due > moment and due not in found:  # it tells what falls into a gap one by one
            found.append(due)
    return found


@settings(deadline=None, max_examples=400)
@given(MINUTES, HOURS, DATES, st.sampled_from(ZONES), MOMENTS)
def test_named_hours_are_due_as_in_debian(
    minute: str, hour: str, dates: str, zone: str, moment: datetime
) -> None:
    expression = f"{minute} {hour} {dates}"
    theirs = of_cronsim(expression, zone, moment, 8)
    assert ours(Cron(expression=expression, zone=zone), moment, len(theirs)) == theirs


@settings(deadline=None, max_examples=400)
@given(st.one_of(MINUTES, STARS), STARS, DATES, st.sampled_from(FOR_CRONSIM), MOMENTS)
def test_every_hour_is_due_as_in_debian(
    minute: str, hour: str, dates: str, zone: str, moment: datetime
) -> None:
    expression = f"{minute} {hour} {dates}"
    theirs = of_cronsim(expression, zone, moment, 8)
    assert ours(Cron(expression=expression, zone=zone), moment, len(theirs)) == theirs


@settings(deadline=None, max_examples=100)
@given(st.one_of(MINUTES, STARS), st.one_of(HOURS, STARS), MONTHS, MOMENTS)
def test_without_changes_of_the_clock_it_is_as_croniter(
    minute: str, hour: str, month: str, moment: datetime
) -> None:
    expression = f"{minute} {hour} * {month} *"
    times = croniter(expression, moment)
    theirs = [times.get_next(datetime) for _ in range(8)]
    assert ours(Cron(expression=expression), moment, 8) == theirs


@settings(deadline=None, max_examples=100)
@given(st.one_of(MINUTES, STARS), st.one_of(HOURS, STARS), DATES, st.sampled_from(ZONES), MOMENTS)
def test_due_times_only_go_forward_and_do_not_depend_on_the_start(
    minute: str, hour: str, dates: str, zone: str, moment: datetime
) -> None:
    rule = Cron(expression=f"{minute} {hour} {dates}", zone=zone)
    found = ours(rule, moment, 6)
    assert found == sorted(set(found))
    for before, due in zip([moment, *found], found, strict=False):
        assert next_after(rule, before + (due - before) / 2) == due


SETS = st.tuples(
    st.frozensets(st.integers(0, 59), min_size=1, max_size=3),
    st.frozensets(st.integers(0, 5), min_size=1, max_size=3),
)
CHANGES = [
    (zone, start + timedelta(hours=hour))
    for zone in ZONES
    for start in (datetime(2026, 1, 1, tzinfo=UTC),)
    for hour in range(365 * 24)
    if (start + timedelta(hours=hour)).astimezone(ZoneInfo(zone)).utcoffset()
    != (start + timedelta(hours=hour + 1)).astimezone(ZoneInfo(zone)).utcoffset()
]


def clock_of(zone: str, start: datetime, minutes: int) -> list[tuple[datetime, datetime]]:
    """Each minute with what a clock of the zone shows then."""
    moments = [start + timedelta(minutes=minute) for minute in range(minutes)]
    return [(each, each.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for each in moments]


@settings(deadline=None, max_examples=60)
@given(SETS, st.sampled_from(CHANGES))
def test_a_clock_that_is_watched_says_the_same(
    sets: tuple[frozenset[int], frozenset[int]], change: tuple[str, datetime]
) -> None:
    minutes, hours = sets
    zone, start = change[0], change[1] - timedelta(hours=8)
    clock = clock_of(zone, start, 17 * 60)
    text = ",".join(map(str, sorted(minutes)))
    follows = [at for at, shown in clock[1:] if shown.minute in minutes]
    rule = Cron(expression=f"{text} * * * *", zone=zone)
    assert ours(rule, start, len(follows)) == follows
    named: list[datetime] = []
    highest = clock[0][1]
    for at, shown in clock[1:]:
        passed = highest
        while passed < shown:  # each time that the clock reaches or leaps over, when it first does
            passed += timedelta(minutes=1)
            if passed.minute in minutes and passed.hour in hours and at not in named:
                named.append(at)
        highest = max(highest, shown)
    rule = Cron(expression=f"{text} {','.join(map(str, sorted(hours)))} * * *", zone=zone)
    assert ours(rule, start, len(named)) == named


def local(rule: Cron, start: str, count: int) -> list[str]:
    """Due times after a local one, as clocks show them, with the offset in hours."""
    zone = ZoneInfo(rule.zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    return [f"{due.astimezone(zone):%d %H:%M %z}"[:-2] for due in ours(rule, moment, count)]


def berlin(expression: str) -> Cron:
    return Cron(expression=expression, zone="Europe/Berlin")


def test_a_time_that_does_not_exist_is_due_after_the_gap() -> None:
    found = local(berlin("30 2 * * *"), "2026-03-28T00:00", 3)
    assert found == ["28 02:30 +01", "29 03:00 +02", "30 02:30 +02"]


def test_several_times_of_a_gap_are_due_once() -> None:
    assert local(berlin("*/10 2,3 * * *"), "2026-03-29T01:00", 2) == [
        "29 03:00 +02",
        "29 03:10 +02",
    ]


def test_a_time_that_exists_twice_is_due_the_first_time() -> None:
    found = local(berlin("*/30 2 * * *"), "2026-10-25T00:00", 3)
    assert found == ["25 02:00 +02", "25 02:30 +02", "26 02:00 +01"]


def test_every_half_hour_goes_on_while_the_clock_is_changed() -> None:
    assert local(berlin("*/30 * * * *"), "2026-10-25T01:30", 4) == [
        "25 02:00 +02", "25 02:30 +02", "25 02:00 +01", "25 02:30 +01",
    ]  # fmt: skip
    assert local(berlin("*/30 * * * *"), "2026-03-29T01:00", 2) == ["29 01:30 +01", "29 03:00 +02"]


def test_half_an_hour_is_a_change_too() -> None:
    rule = Cron(expression="0 */5 * oct 0", zone="Australia/Lord_Howe")
    found = local(rule, "2025-10-04T12:00", 3)
    assert found == ["05 00:00 +10", "05 05:00 +11", "05 10:00 +11"]


def test_a_midnight_that_does_not_exist_is_due_at_one() -> None:
    rule = Cron(expression="@daily", zone="America/Santiago")
    assert local(rule, "2026-09-05T12:00", 2) == ["06 01:00 -03", "07 00:00 -03"]


def test_a_day_fits_either_field_when_both_name_days() -> None:
    assert local(berlin("0 0 13 * fri"), "2026-01-01T00:00", 4) == [
        "02 00:00 +01", "09 00:00 +01", "13 00:00 +01", "16 00:00 +01",
    ]  # fmt: skip


def test_leap_days_are_found() -> None:
    assert next_after(Cron(expression="0 0 29 2 *"), NOW) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("61 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of the month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of the week"),
        ("0 0 * * fri#6", "day of the week"),
        ("a * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("0 ٣ * * *", "hour"),
        ("1,,2 * * * *", "minute"),
        ("0 0 * foo *", "month"),
        ("*/" + "9" * 5000 + " * * * *", "minute"),
        ("0 " + "1" * 5000 + " * * *", "hour"),
    ],
)
def test_a_bad_field_is_named_with_an_example(expression: str, part: str) -> None:
    with pytest.raises(ScheduleInvalidError) as caught:
        check_rule(Cron(expression=expression), after=NOW)
    assert caught.value.details["part"] == part
    assert part in caught.value.message
    assert caught.value.hint is not None
    assert "as " in caught.value.hint


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (Cron(expression="* * * *"), "5 fields"),
        (Cron(expression=""), "5 fields"),
        (Cron(expression="0 0 31 2 *"), "never due"),
        (Cron(expression="0 * 30 2 *", zone="Europe/Berlin"), "never due"),
        (Cron(expression="* * * * *", zone="Europe/Berln"), "time zone"),
        (Cron(expression="* * * * *", zone="../etc"), "time zone"),
        (Once(at=NOW), "never due"),
        (Interval(every=timedelta(milliseconds=999), anchor=NOW), "at least 1s"),
        (Once(at=END), "never due"),
        (Interval(every=timedelta(days=900_000), anchor=NOW), "never due"),
        (Interval(every=timedelta(days=1), anchor=datetime.max.replace(tzinfo=UTC)), "never due"),
    ],
)
def test_what_can_never_be_due_is_refused(rule: Rule, word: str) -> None:
    with pytest.raises(ScheduleInvalidError, match=word):
        check_rule(rule, after=NOW)


@pytest.mark.parametrize(
    "rule", [Cron(expression="@daily"), Once(at=NOW), Interval(every=timedelta(1), anchor=NOW)]
)
def test_nothing_is_due_at_the_end_of_the_calendar(rule: Rule) -> None:
    assert next_after(rule, datetime.max.replace(tzinfo=UTC)) is None


def test_intervals_keep_to_their_anchor() -> None:
    rule = Interval(every=timedelta(minutes=7), anchor=NOW)
    assert next_after(rule, NOW - timedelta(days=1)) == NOW
    assert next_after(rule, NOW) == NOW + timedelta(minutes=7)
    assert next_after(rule, NOW + timedelta(minutes=20)) == NOW + timedelta(minutes=21)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["*/3 * * * *", "*/7 3 * * *", "0 0 1 * *", "30 2 * * 0"]),
    MOMENTS,
    st.integers(0, 5_000),
    st.integers(1, 20),
)
def test_the_newest_of_a_span_are_the_last_of_all(
    expression: str, start: datetime, minutes: int, most: int
) -> None:
    rule, end = berlin(expression), start + timedelta(minutes=minutes)
    inside, moment = [], start - timedelta(microseconds=1)
    while (due := next_after(rule, moment)) is not None and due <= end:
        inside.append(due)
        moment = due
    found = due_between(rule, start, end, most)
    assert list(found.times) == inside[-most:]
    assert found.more == (len(inside) > most)


def test_years_of_due_times_are_not_walked() -> None:
    found = due_between(Cron(expression="* * * * *"), NOW - timedelta(days=3650), NOW, 5)
    assert found.more
    assert found.times[-1] == NOW


def test_jitter_is_the_same_for_the_same_due_time() -> None:
    most = timedelta(seconds=30)
    found = {jitter_of(f"sch_{number}", NOW, most) for number in range(200)}
    assert len(found) > 150
    assert all(timedelta(0) <= each <= most for each in found)
    assert jitter_of("sch_1", NOW, most) == jitter_of("sch_1", NOW, most)
    assert jitter_of("sch_1", NOW, timedelta(0)) == timedelta(0)


def test_zones_are_those_of_the_database() -> None:
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
