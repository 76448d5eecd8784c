"""Statements over tables in a bucket, with the warehouse and the results in another."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.base.ids import JobId, ProjectId, TableId
from storage.catalog.catalog import managed_folder
from storage.objects.api import StoreUnavailableError
from storage.objects.s3 import S3Store
from storage.results.writer import attempt_prefix
from tests.support.servers import S3Server, tenant_keys
from tests.support.service import Service, in_process

ROWS = 20_000


def parquet(first: int) -> bytes:
    sink = io.BytesIO()
    numbers = range(first, first + ROWS)
    table = pa.table({"id": pa.array(numbers, pa.int64()), "kind": [f"k{n % 5}" for n in numbers]})
    pq.write_table(table, sink, row_group_size=5_000)
    return sink.getvalue()


@pytest.fixture(scope="module")
def buckets(s3_server: S3Server) -> tuple[str, str]:
    return s3_server.bucket(), s3_server.bucket()


@pytest.fixture(scope="module")
def service(
    s3_server: S3Server, buckets: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    data, warehouse = buckets
    lake = S3Store(data, "", s3_server.settings)
    for number, day in enumerate(("2026-01-01", "2026-01-02")):
        lake.put(f"events/day={day}/part.parquet", parquet(number * ROWS))
    given = s3_server.settings
    with in_process(
        tmp_path_factory.mktemp("home"),
        buckets=(data,),
        warehouse=f"s3://{warehouse}/dli",
        s3_endpoint=given.endpoint,
        s3_region=given.region,
        s3_access_key=given.access_key,
        s3_secret_key=given.secret_key,
        s3_secure=given.secure,
    ) as running:
        with running.client() as admin:
            assert admin.post("/databases", json={"name": "lake"}).status_code == 201
            body = {"name": "events", "location": f"s3://{data}/events/"}
            answer = admin.post("/databases/lake/tables", json=body)
            assert answer.status_code == 201, answer.text
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def run(client: httpx.Client, sql: str, **fields: Any) -> dict[str, Any]:
    body = {"sql": sql, "database": "lake", "wait": "60s", **fields}
    answer = client.post("/statements", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["state"] == "finished", told["error"]
    return told


def test_a_bucket_is_read_by_partition(admin: httpx.Client) -> None:
    told = run(admin, "SELECT count(id) AS n, min(id) AS low FROM events WHERE day = '2026-01-02'")
    assert told["result"]["inline"] == [["20000", "20000"]]
    assert told["estimate"]["tables"][0]["files_kept"] == 1
    assert told["bill"]["amount"] == told["estimate"]["price"]["amount"] != "0.000000000"


def test_tables_and_results_are_kept_in_the_warehouse(
    admin: httpx.Client, s3_server: S3Server, buckets: tuple[str, str]
) -> None:
    run(admin, "CREATE TABLE kinds AS SELECT kind, count(*) AS n FROM events GROUP BY kind")
    run(admin, "INSERT INTO kinds SELECT 'more', 1")
    told = run(admin, "SELECT sum(n) AS n FROM kinds")
    assert told["result"]["inline"] == [["40001"]]
    everything = run(admin, "SELECT id, kind, uuid() AS noise FROM events")
    form = {"Accept": "application/vnd.apache.arrow.stream"}
    body = admin.get(f"/statements/{everything['id']}/result", headers=form).content
    assert pa.ipc.open_stream(body).read_all().num_rows == 2 * ROWS
    keys = [info.key for info in S3Store(buckets[1], "dli/", s3_server.settings).list("")]
    assert any(key.startswith("project-tables/default/tbl_") for key in keys)
    assert any(key.startswith(f"project-results/default/{everything['id']}/") for key in keys)


def test_the_manuals_policy_opens_the_folders_of_one_project(s3_server: S3Server) -> None:
    s3_server.client().make_bucket(bucket_name="lake")
    access, secret = tenant_keys("sales")
    identity = replace(s3_server.settings, access_key=access, secret_key=secret)
    service, run = (S3Store("lake", "dli/", who) for who in (s3_server.settings, identity))

    def may(prefix: str) -> list[bool]:
        """Whether the run reads, lists, writes and deletes there."""
        service.put(f"{prefix}a", b"")
        return [
            _allowed(lambda: run.get(f"{prefix}a")),
            _allowed(lambda: list(run.list(prefix))),
            _allowed(lambda: run.put(f"{prefix}b", b"")),
            _allowed(lambda: run.delete(f"{prefix}a")),
        ]

    for project in ("sales", "sales-eu", "research"):
        own = [project == "sales"] * 4
        assert may(managed_folder(ProjectId(project), TableId("tbl_1"))) == own
        assert may(attempt_prefix(ProjectId(project), JobId("stm_1"), 1)) == own
    assert may("engines/") == [True, True, False, False]
    for others in ("project-tables/", "tables/tbl_0/", "results/stm_0/1/", "logs/", "files/sales/"):
        assert may(others) == [False] * 4


def _allowed(action: Callable[[], object]) -> bool:
    try:
        action()
    except StoreUnavailableError as error:
        if "AccessDenied" not in error.message:
            raise
        return False
    return True


def test_another_bucket_is_refused(admin: httpx.Client, buckets: tuple[str, str]) -> None:
    body = {"name": "stolen", "location": f"s3://{buckets[1]}/dli/project-tables/"}
    answer = admin.post("/databases/lake/tables", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_bucket")


def test_spark_says_that_it_cannot_read_buckets(admin: httpx.Client) -> None:
    body = {"sql": "SELECT max(id) FROM events", "database": "lake", "engine": "spark"}
    for mode in ("estimate", "run"):
        refused = admin.post("/statements", json=body | {"mode": mode})
        assert (refused.status_code, refused.json()["code"]) == (422, "engine_cannot_read")
    [kept] = admin.get("/statements", params={"state": "failed"}).json()["items"]
    assert kept["error"]["code"] == "engine_cannot_read"
