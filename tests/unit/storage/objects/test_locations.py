"""Which paths may be read, which files they name, and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.objects.api import ObjectMissingError, StoreUnavailableError
from storage.objects.buckets import S3Settings
from storage.objects.locations import (
    InvalidLocationError,
    LocationForbiddenError,
    Locations,
    UnknownBucketError,
)
from storage.objects.s3 import S3Store
from tests.support.servers import S3Server

SETTINGS = S3Settings(endpoint="127.0.0.1:1", access_key="us", secret_key="hush", secure=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The allowed folder; its parent is not allowed."""
    made = tmp_path.resolve() / "allowed"
    made.mkdir()
    return made


@pytest.fixture
def locations(folder: Path) -> Locations:
    return Locations(folders=[folder], s3=SETTINGS, buckets=["known"])


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"data")


def names(locations: Locations, text: str, folder: Path) -> list[str]:
    return [info.key.removeprefix(f"file://{folder}/") for info in locations.files(text)]


@pytest.mark.parametrize(
    "text", ["{}/a/b", "file://{}/a/b", "file:{}/a/b", "FILE://{}/a/b/", "{}/x/../a//b/"]
)
def test_local_texts_of_one_place_are_one_uri(
    text: str, locations: Locations, folder: Path
) -> None:
    assert locations.resolve(text.format(folder)).uri == f"file://{folder}/a/b"


@pytest.mark.parametrize("text", ["s3://known/a/b", "s3a://known/a/b/", "S3://known/a/b"])
def test_bucket_texts_of_one_place_are_one_uri(text: str, locations: Locations) -> None:
    assert locations.resolve(text).uri == "s3://known/a/b"


def test_patterns_stay_in_the_uri(locations: Locations, folder: Path) -> None:
    assert locations.resolve(f"{folder}/a*/*.csv").uri == f"file://{folder}/a*/*.csv"
    assert locations.resolve("s3://known/a/[xy]/").uri == "s3://known/a/[xy]"
    assert locations.resolve("s3://known/").uri == "s3://known"


@pytest.mark.parametrize(
    "text", ["", "relative/path", "s3://", "http://host/x", "/a/\0", "s3://known/a//b",
             "s3://known/../x", "file://host/x", "/a/[b", "hdfs:/x", "/a/*/../b", "C:\\x",
             "/a/" + "ü" * 128, "/a" * 3000]
)  # fmt: skip
def test_texts_that_name_no_place_are_invalid(text: str, locations: Locations) -> None:
    with pytest.raises(InvalidLocationError):
        locations.resolve(text)


@pytest.mark.parametrize("text", ["/etc/passwd", "/", "{}/../other", "{}x", "/*", "{}/../*"])
def test_paths_outside_are_forbidden(text: str, locations: Locations, folder: Path) -> None:
    with pytest.raises(LocationForbiddenError) as told:
        locations.resolve(text.format(folder))
    assert told.value.hint is not None
    assert "--allow-path" in told.value.hint


def test_a_link_is_judged_by_its_target(locations: Locations, folder: Path) -> None:
    write(folder.parent, "outside/a.csv")
    write(folder, "inside/a.csv")
    (folder / "out").symlink_to(folder.parent / "outside")
    (folder / "in").symlink_to(folder / "inside")
    with pytest.raises(LocationForbiddenError):
        locations.resolve(f"{folder}/out")
    assert locations.resolve(f"{folder}/in").uri == f"file://{folder}/inside"


@pytest.mark.parametrize("target", ["outside", "outside/a.csv"])
def test_a_link_below_that_leads_out_is_forbidden(
    target: str, locations: Locations, folder: Path
) -> None:
    write(folder.parent, "outside/a.csv")
    write(folder, "t/b.csv")
    (folder / "t" / "link").symlink_to(folder.parent / target)
    with pytest.raises(LocationForbiddenError):
        locations.files(f"{folder}/t")


def test_a_loop_of_links_ends(locations: Locations, folder: Path) -> None:
    write(folder, "t/a.csv")
    (folder / "t" / "again").symlink_to(folder / "t")
    assert names(locations, f"{folder}/t", folder) == ["t/a.csv"]


def test_an_allowed_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/a.csv")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    locations = Locations(folders=[tmp_path / "link"], s3=None, buckets=[])
    assert len(locations.files(f"{tmp_path}/link/a.csv")) == 1


def test_what_is_ours_is_not_for_users(folder: Path) -> None:
    write(folder, "warehouse/results/x", "data/a.csv")
    (folder / "data" / "sly").symlink_to(folder / "warehouse")
    locations = Locations(
        folders=[folder], s3=SETTINGS, buckets=["known"],
        private=[f"file://{folder}/warehouse", "s3://known/ours/"],
    )  # fmt: skip
    for text in (
        f"{folder}/warehouse/results/x", f"{folder}/warehouse", f"{folder}", f"{folder}/*",
        f"{folder}/data", "s3://known/ours/x", "s3://known/ours",
    ):  # fmt: skip
        with pytest.raises(LocationForbiddenError, match="belongs to the service"):
            locations.files(text)
    assert locations.stat(f"file://{folder}/warehouse/results/x").size == 4


def test_unknown_bucket_is_told(locations: Locations) -> None:
    with pytest.raises(UnknownBucketError, match="other"):
        locations.resolve("s3://other/x")
    with pytest.raises(UnknownBucketError):
        Locations(folders=[], s3=None, buckets=["known"]).resolve("s3://known/x")


def test_folder_gives_all_data_files_below(locations: Locations, folder: Path) -> None:
    write(folder, "t/b.csv", "t/day=1/a.csv", "t/_x=1/a.csv", "t/_SUCCESS", "t/.a.crc")
    write(folder, "t/_temporary/0/a.csv", "t/a b%20c.csv", "tt/a.csv")
    (folder / "t" / "empty.csv").touch()
    expected = ["t/_x=1/a.csv", "t/a b%20c.csv", "t/b.csv", "t/day=1/a.csv"]
    assert names(locations, f"{folder}/t", folder) == expected


def test_file_gives_itself_even_if_hidden(locations: Locations, folder: Path) -> None:
    write(folder, "_t/_a.csv")
    assert names(locations, f"{folder}/_t/_a.csv", folder) == ["_t/_a.csv"]
    assert names(locations, f"{folder}/_t/missing.csv", folder) == []


def test_pattern_gives_what_it_matches(locations: Locations, folder: Path) -> None:
    write(folder, "t/1.csv", "t/2.csv", "t/2.txt", "t/sub/3.csv", "t/y=1/m=2/a", "t/y=2/m=2/a")
    assert names(locations, f"{folder}/t/*.csv", folder) == ["t/1.csv", "t/2.csv"]
    assert names(locations, f"{folder}/t/y=*/m=2", folder) == ["t/y=1/m=2/a", "t/y=2/m=2/a"]
    assert names(locations, f"{folder}/t/**/*.csv", folder) == ["t/1.csv", "t/2.csv", "t/sub/3.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_without_rights_is_told(locations: Locations, folder: Path) -> None:
    (folder / "t").mkdir(mode=0)
    with pytest.raises(StoreUnavailableError):
        locations.files(f"{folder}/t")


def test_stat_and_open_are_within_bounds(locations: Locations, folder: Path) -> None:
    write(folder.parent, "outside.csv")
    (folder / "link.csv").symlink_to(folder.parent / "outside.csv")
    for uri in (f"file://{folder.parent}/outside.csv", f"file://{folder}/link.csv"):
        with pytest.raises(LocationForbiddenError):
            locations.stat(uri)
        with pytest.raises(LocationForbiddenError):
            locations.open(uri, 4)
    with pytest.raises(UnknownBucketError):
        locations.open("s3://other/x", 4)


def test_open_reads_a_local_file(locations: Locations, folder: Path) -> None:
    write(folder, "a*.csv")  # no pattern here: the URI came from a listing
    with locations.open(f"file://{folder}/a*.csv", 4) as file:
        assert file.read() == b"data"
    with pytest.raises(ObjectMissingError):
        locations.open(f"file://{folder}/missing", 4)
    with pytest.raises(ObjectMissingError):
        locations.stat(f"file://{folder}")


def test_etag_follows_the_file(locations: Locations, folder: Path) -> None:
    write(folder, "a.csv")
    before = locations.stat(f"file://{folder}/a.csv")
    assert locations.files(f"{folder}/a.csv") == [before]
    (folder / "a.csv").write_bytes(b"tada")
    os.utime(folder / "a.csv", ns=(1, 1))
    assert locations.stat(f"file://{folder}/a.csv").etag != before.etag


def test_bucket_gives_the_same_files_as_a_folder(folder: Path, s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    store = S3Store(bucket, "", s3_server.settings)
    both = Locations(folders=[folder], s3=s3_server.settings, buckets=[bucket])
    made = ["t/1.csv", "t/2.txt", "t/day=1/3.csv", "t/_SUCCESS", "t/.x", "t/a%20b c+.csv", "tt/x"]
    write(folder, *made)
    for name in made:
        store.put(name, b"data")
    store.put("t/empty.csv", b"")
    for text in (
        "t",
        "t/",
        "t/1.csv",
        "t/*.csv",
        "t/day=*",
        "t/**/*.csv",
        "missing",
        "",
        "*/1.csv",
    ):
        found = [
            info.key.removeprefix(f"s3://{bucket}/") for info in both.files(f"s3://{bucket}/{text}")
        ]
        assert found == names(both, f"{folder}/{text}", folder), text


def test_open_reads_a_bucket_by_ranges(s3_server: S3Server, tmp_path: Path) -> None:
    bucket = s3_server.bucket()
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "file")
    S3Store(bucket, "", s3_server.settings).put_file("t/a.parquet", tmp_path / "file")
    locations = Locations(folders=[], s3=s3_server.settings, buckets=[bucket])
    uri = f"s3://{bucket}/t/a.parquet"
    with locations.open(uri, locations.stat(uri).size) as file:
        assert pq.ParquetFile(file).read().column("a").to_pylist() == list(range(1000))
    with pytest.raises(ObjectMissingError):
        pq.ParquetFile(locations.open(f"s3://{bucket}/t/gone", 100))


def test_engine_environment_names_the_service(locations: Locations) -> None:
    assert locations.engine_environment() == {
        "AWS_ACCESS_KEY_ID": "us",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
    }
    assert Locations(folders=[], s3=None, buckets=[]).engine_environment() == {}
