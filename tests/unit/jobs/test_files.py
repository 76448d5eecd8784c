"""Uploaded files: kept once by content, apart by project, swept when nobody needs them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from dli.api.documents import Documents
from jobs.errors import RequestInvalidError
from jobs.files import (
    FileInvalidError,
    FileMissingError,
    Files,
    FileSettings,
    FileTooLargeError,
    checked_name,
    file_uri,
    files,
    parse_file_uri,
)
from jobs.holding import held_files
from jobs.lifecycle.spec import FileRef, JobKind
from jobs.lifecycle.states import JobState
from jobs.pipelines.rows import pipeline_revisions, pipelines
from jobs.schedules.rows import schedules
from jobs.store.jobs import Summary, add, first_step
from jobs.triggers.rows import triggers
from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database
from storage.objects.folder import FolderStore
from storage.objects.locations import LocationForbiddenError, Locations, UnknownBucketError
from tests.support.jobs import PROJECT, make_batch_spec, make_job

OTHER = ProjectId("prj_other")
KEPT = timedelta(days=30)


class Shelf:
    """Files over a store whose objects can be looked at."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.clock = ManualClock()
        self.store = FolderStore(folder / "store")
        self.data = folder / "data"
        self.data.mkdir()
        self.files = Files(
            database=database,
            store=self.store,
            locations=Locations(folders=(self.data,), s3=None, buckets=()),
            clock=self.clock,
            settings=FileSettings(drafts=folder / "drafts", max_upload=1000, kept=KEPT),
        )

    def sweep(self) -> int:
        return self.files.sweep(held_files)

    def objects(self) -> list[str]:
        return [info.key for info in self.store.list("files/")]

    def submit(self, ref: FileRef, state: JobState = JobState.QUEUED) -> None:
        spec = make_batch_spec(py_files=(ref,))
        ended = self.clock.now() if state.terminal else None
        job = make_job(
            id=JobId("bat_1"), kind=JobKind.BATCH, spec=spec, state=state, ended_at=ended
        )
        with self.database.transaction() as tx:
            add(tx, [first_step(job)], plan=None, summary=Summary())


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Shelf:
    return Shelf(database, tmp_path)


def test_keep_is_by_content(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"ab", b"", b"c"])
    assert (kept.sha256, kept.size) == (hashlib.sha256(b"abc").hexdigest(), 3)
    assert shelf.objects() == [f"files/{PROJECT}/{kept.sha256}"]
    shelf.clock.advance(timedelta(hours=1))
    again = shelf.files.keep(PROJECT, [b"abc"])
    assert (again.sha256, again.created_at) == (kept.sha256, kept.created_at)
    assert again.last_used_at == kept.last_used_at + timedelta(hours=1)
    assert len(shelf.objects()) == 1


def test_a_file_that_is_too_large_leaves_nothing(shelf: Shelf) -> None:
    with pytest.raises(FileTooLargeError):
        shelf.files.keep(PROJECT, [b"x" * 600, b"x" * 401])
    assert shelf.objects() == []
    assert list((shelf.folder / "drafts").iterdir()) == []
    assert shelf.files.keep(PROJECT, [b"x" * 1000]).size == 1000


def test_a_file_of_this_machine_is_kept_however_large(shelf: Shelf) -> None:
    path = shelf.folder / "large"
    path.write_bytes(b"0123456789" * 1000)
    kept = shelf.files.keep_file(PROJECT, path)
    assert (kept.sha256, kept.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), 10_000)
    assert shelf.files.keep_file(PROJECT, path).sha256 == kept.sha256
    assert len(shelf.objects()) == 1


def test_a_part_of_a_kept_file_is_read_and_counts_as_a_use(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"0123456789"])
    shelf.clock.advance(KEPT - timedelta(hours=1))
    read = shelf.files.pieces
    assert b"".join(read(PROJECT, kept.sha256, start=2, end=5)) == b"234"
    assert b"".join(read(PROJECT, kept.sha256)) == b"0123456789"
    assert b"".join(read(PROJECT, kept.sha256, start=8, end=99)) == b"89"
    shelf.clock.advance(KEPT - timedelta(hours=1))
    assert shelf.sweep() == 0
    with pytest.raises(FileMissingError):
        next(read(OTHER, kept.sha256))


def test_the_address_of_a_kept_file_tells_hash_and_name() -> None:
    assert parse_file_uri(file_uri("ab" * 32, "a b/ü.csv")) == ("ab" * 32, "a b/ü.csv")
    assert parse_file_uri("s3://bucket/files/x") is None


def test_another_projects_file_is_not_found(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"secret"])
    ref = shelf.files.uploaded(PROJECT, kept.sha256, name="app.py")
    assert ref == FileRef(name="app.py", size=6, sha256=kept.sha256)
    with pytest.raises(FileMissingError):
        shelf.files.uploaded(OTHER, kept.sha256, name="app.py")
    with pytest.raises(FileMissingError):
        shelf.files.fetch(OTHER, ref, shelf.folder / "stolen")


@pytest.mark.parametrize("sha256", ["", "abc", "A" * 64, "../" * 21 + "x"])
def test_a_hash_that_is_none_is_refused(shelf: Shelf, sha256: str) -> None:
    with pytest.raises(FileInvalidError):
        shelf.files.uploaded(PROJECT, sha256, name="app.py")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\nb", "é" * 101])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(FileInvalidError):
        checked_name(name)


def test_fetch_gives_the_bytes_back(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"print(1)"])
    shelf.files.fetch(
        PROJECT, shelf.files.uploaded(PROJECT, kept.sha256, name="a"), shelf.folder / "a"
    )
    assert (shelf.folder / "a").read_bytes() == b"print(1)"


def test_an_object_in_an_allowed_folder_is_a_file(shelf: Shelf) -> None:
    (shelf.data / "app.py").write_text("print(2)")
    ref = shelf.files.located(str(shelf.data / "app.py"))
    assert (ref.name, ref.size, ref.sha256) == ("app.py", 8, None)
    shelf.files.fetch(PROJECT, ref, shelf.folder / "copy")
    assert (shelf.folder / "copy").read_text() == "print(2)"


def test_an_object_elsewhere_is_refused(shelf: Shelf) -> None:
    outside = shelf.folder / "outside.py"
    outside.write_text("")
    (shelf.data / "link.py").symlink_to(outside)
    for place in (str(outside), f"{shelf.data}/../outside.py", f"file://{shelf.data}/link.py"):
        with pytest.raises(LocationForbiddenError):
            shelf.files.located(place)
    with pytest.raises(UnknownBucketError):
        shelf.files.located("s3://somebody/app.py")


def test_a_pattern_a_folder_and_nothing_are_no_files(shelf: Shelf) -> None:
    with pytest.raises(FileInvalidError):
        shelf.files.located(f"{shelf.data}/*.py")
    for place in (shelf.data, shelf.data / "absent.py"):
        with pytest.raises(FileMissingError):
            shelf.files.located(str(place))


def test_an_object_that_went_away_is_told(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"x"])
    ref = shelf.files.uploaded(PROJECT, kept.sha256, name="app.py")
    shelf.store.delete(shelf.objects()[0])
    with pytest.raises(FileMissingError):
        shelf.files.fetch(PROJECT, ref, shelf.folder / "copy")
    with pytest.raises(FileMissingError):
        shelf.files.uploaded(PROJECT, kept.sha256, name="app.py")
    assert shelf.files.keep(PROJECT, [b"x"]).sha256 == kept.sha256  # is put again
    assert len(shelf.objects()) == 1


def test_sweep_takes_what_nobody_used_for_long(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"old"])
    shelf.clock.advance(KEPT)
    assert shelf.sweep() == 0
    shelf.clock.advance(timedelta(seconds=1))
    used = shelf.files.uploaded(PROJECT, kept.sha256, name="app.py")
    assert shelf.sweep() == 0  # a use makes it young
    shelf.clock.advance(KEPT + timedelta(seconds=1))
    assert shelf.sweep() == 1
    assert shelf.objects() == []
    with pytest.raises(FileMissingError):
        shelf.files.fetch(PROJECT, used, shelf.folder / "copy")
    with shelf.database.read() as tx:
        assert tx.execute(select(files)).all() == []


def test_a_document_uses_its_files_when_it_is_checked(shelf: Shelf) -> None:
    """So that no sweep takes them before the schedule that it is of is written."""
    kept = shelf.files.keep(PROJECT, [b"library"])
    documents = Documents(jobs=None, files=shelf.files)  # type: ignore[arg-type]
    batch = {"kind": "batch", "program": "s3://b/app.py", "jars": [file_uri(kept.sha256, "a.jar")]}
    shelf.clock.advance(KEPT + timedelta(seconds=1))
    documents.check(batch, PROJECT)
    assert shelf.sweep() == 0
    documents.check({"kind": "task", "command": ["c"], "stdin": {"sha256": kept.sha256}}, PROJECT)
    with pytest.raises(RequestInvalidError, match=r"^files\.0: an uploaded file needs a name"):
        documents.check({**batch, "files": [{"sha256": kept.sha256}]}, PROJECT)
    with pytest.raises(RequestInvalidError, match=r"^jars\.0: no file .* to this project"):
        documents.check(batch, OTHER)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.FINISHED])
def test_sweep_leaves_what_a_living_job_has(shelf: Shelf, state: JobState) -> None:
    kept = shelf.files.keep(PROJECT, [b"library"])
    shelf.submit(shelf.files.uploaded(PROJECT, kept.sha256, name="lib.py"), state)
    shelf.clock.advance(KEPT * 2)
    assert shelf.sweep() == (1 if state.terminal else 0)


def test_sweep_leaves_what_schedules_and_triggers_name(shelf: Shelf) -> None:
    program, stdin, other = (shelf.files.keep(PROJECT, [text]) for text in (b"a", b"b", b"c"))
    now = shelf.clock.now()
    common = {"project_id": PROJECT, "name": "n", "user_id": "usr_1", "paused": False}
    common |= {"created_at": now}
    batch = {"kind": "batch", "program": {"name": "app.py", "sha256": program.sha256}}
    task = {"kind": "task", "command": ["c"], "stdin": file_uri(stdin.sha256, "in")}
    rules = {"rule": {}, "missed": "all", "missed_most": 1, "overlap": "allow", "jitter_ms": 0}
    with shelf.database.transaction() as tx:
        tx.execute(
            insert(schedules).values(
                id="1", document=batch, version=1, updated_at=now, **rules, **common
            )
        )
        of = {"kind": "object", "condition": {}}
        tx.execute(insert(triggers).values(id="1", document=task, **of, **common))
    for _ in range(3):
        shelf.clock.advance(KEPT + timedelta(seconds=1))
        shelf.sweep()
    kept = {key.rpartition("/")[2] for key in shelf.objects()}
    assert kept == {program.sha256, stdin.sha256}
    assert other.sha256 not in kept
    with shelf.database.transaction() as tx:
        tx.execute(schedules.delete())
    shelf.clock.advance(KEPT + timedelta(seconds=1))
    assert shelf.sweep() == 1


def test_sweep_leaves_what_revisions_name(shelf: Shelf) -> None:
    kept = shelf.files.keep(PROJECT, [b"a"])
    foreign = shelf.files.keep(OTHER, [b"a"])
    now, name = shelf.clock.now(), {"project_id": PROJECT, "name": "daily"}
    node = {"kind": "batch", "program": {"name": "app.py", "sha256": kept.sha256}}
    with shelf.database.transaction() as tx:
        tx.execute(insert(pipelines).values(**name, revision=2, created_at=now, updated_at=now))
        for number, nodes in ((1, {"n": node}), (2, {})):
            tx.execute(
                insert(pipeline_revisions).values(
                    **name, revision=number, text={"nodes": nodes}, hash="h", graph={},
                    user_id="usr_1", at=now,
                )
            )  # fmt: skip
    assert foreign.sha256 == kept.sha256
    shelf.clock.advance(KEPT + timedelta(seconds=1))
    assert shelf.sweep() == 1, "that of the other project"
    assert shelf.objects() == [f"files/{PROJECT}/{kept.sha256}"]
    with shelf.database.transaction() as tx:
        tx.execute(update(pipelines).values(deleted_at=shelf.clock.now()))
    shelf.clock.advance(KEPT - timedelta(seconds=1))
    assert shelf.sweep() == 0
    shelf.clock.advance(KEPT * 2)
    assert shelf.sweep() == 1


def test_many_that_are_held_hide_none_that_is_free(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.files._BATCH", 1)
    held = shelf.files.keep(PROJECT, [b"held"])
    shelf.submit(shelf.files.uploaded(PROJECT, held.sha256, name="lib.py"))
    shelf.files.keep(PROJECT, [b"free"])
    shelf.clock.advance(KEPT + timedelta(seconds=1))
    assert sum(shelf.sweep() for _ in range(2)) == 1
    assert shelf.objects() == [f"files/{PROJECT}/{held.sha256}"]
