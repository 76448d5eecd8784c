"""Statements over HTTP, from the price to the rows, against the whole service and its engine."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dli.api.schemas.statements import PlanReply, StatementReply, StatementsPage
from tests.support.service import Service, in_process

ROWS = 50_000
PRICE = Decimal(5) / 2**40
ENDLESS = "SELECT count(*) AS n FROM range(2000000) a JOIN range(2000000) b ON a.id <> b.id"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home, data = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("data")
    table = pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "kind": pa.array([f"k{number % 7}" for number in range(ROWS)]),
            "price": pa.array(
                [Decimal(number) / 100 for number in range(ROWS)], pa.decimal128(12, 2)
            ),
        }
    )
    pq.write_table(table, data / "orders.parquet", row_group_size=10_000)
    with in_process(home, allow_paths=(data,)) as running, running.client() as admin:
        body = {"name": "orders", "location": str(data)}
        assert admin.post("/databases", json={"name": "sales"}).status_code == 201
        assert admin.post("/databases/sales/tables", json=body).status_code == 201
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def run(client: httpx.Client, sql: str, **fields: Any) -> dict[str, Any]:
    """A statement that ends within its wait."""
    body = {"sql": sql, "database": "sales", "wait": "60s", **fields}
    answer = client.post("/statements", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def ended(client: httpx.Client, statement_id: str) -> dict[str, Any]:
    """The statement at its end, by long polls."""
    etag = ""
    for _ in range(30):
        answer = client.get(
            f"/statements/{statement_id}",
            params={"wait": "5s"},
            headers={"If-None-Match": etag},
        )
        if answer.status_code == 200:
            told: dict[str, Any] = answer.json()
            if told["terminal"]:
                return told
            etag = answer.headers["etag"]
    raise AssertionError(f"{statement_id} did not end")


def test_the_answer_is_the_documented_envelope(admin: httpx.Client) -> None:
    told = run(admin, "SELECT kind, sum(price) AS total FROM orders GROUP BY kind ORDER BY kind")
    StatementReply.model_validate(told)
    assert set(told) == {field.alias or name for name, field in StatementReply.model_fields.items()}
    assert told["state"] == "finished"
    assert [column["name"] for column in told["result"]["schema"]] == ["kind", "total"]
    assert len(told["result"]["inline"]) == 7
    assert told["result"]["inline"][0][0] == "k0"
    assert isinstance(told["result"]["inline"][0][1], str)
    states = [step["state"] for step in told["history"]]
    assert states == ["queued", "starting", "running", "publishing", "finished"]


def test_the_bill_is_the_quote_and_fits_the_price(admin: httpx.Client) -> None:
    sql = "SELECT sum(id) AS n FROM orders"
    quoted = run(admin, sql, mode="estimate")
    PlanReply.model_validate(quoted)
    told = run(admin, sql)
    size = told["usage"]["bytes_processed"]
    assert size == quoted["estimate"]["bytes_processed"] > 0
    assert told["estimate"]["price"] == quoted["estimate"]["price"]
    assert {name: told["bill"][name] for name in ("amount", "currency")} == told["estimate"][
        "price"
    ]
    assert Decimal(told["bill"]["amount"]) == (size * PRICE).quantize(Decimal("1e-9"))
    kept = admin.get(f"/statements/{told['id']}/bill").json()
    assert (kept["state"], kept["amount"]) == ("billed", told["bill"]["amount"])
    assert kept["lines"] == told["bill"]["lines"]


@pytest.mark.parametrize("mode", ["estimate", "validate", "explain"])
def test_asking_leaves_nothing_behind(admin: httpx.Client, mode: str) -> None:
    before = admin.get("/statements").json()["items"]
    told = run(admin, "SELECT * FROM orders", mode=mode)
    assert (told["id"], told["mode"]) == (None, mode)
    assert (told["plan"] is not None) == (mode == "explain")
    assert admin.get("/statements").json()["items"] == before


def test_every_form_has_the_same_rows(admin: httpx.Client) -> None:
    told = run(admin, "SELECT id, kind, price FROM orders WHERE id < 1000 ORDER BY id")
    path = f"/statements/{told['id']}/result"

    def fetch(form: str) -> httpx.Response:
        answer = admin.get(path, headers={"Accept": form})
        assert answer.headers["content-type"].startswith(form)
        return answer

    arrow = pa.ipc.open_stream(fetch("application/vnd.apache.arrow.stream").content).read_all()
    parquet = pq.read_table(io.BytesIO(fetch("application/vnd.apache.parquet").content))
    csv = fetch("text/csv").text.splitlines()
    rows = fetch("application/json").json()
    assert arrow.num_rows == parquet.num_rows == 1000
    assert arrow.to_pylist() == parquet.to_pylist()
    assert csv[0] == "id,kind,price"
    assert csv[1000] == "999,k5,9.99"
    assert "999" in json.dumps(rows)
    chunk = admin.get(path, params={"chunk": 0}, headers={"Accept": "text/csv"})
    assert chunk.text == fetch("text/csv").text
    arrow_form = {"Accept": "application/vnd.apache.arrow.stream"}
    kept = admin.get(path, params={"chunk": 0}, headers=arrow_form).content
    assert hashlib.sha256(kept).hexdigest() == told["result"]["chunks"][0]["sha256"]
    assert admin.get(path, params={"chunk": 7}).json()["code"] == "result_chunk_missing"
    assert admin.get(path, headers={"Accept": "image/png"}).status_code == 406


def test_a_deleted_result_is_gone_and_the_bill_stays(admin: httpx.Client) -> None:
    told = run(admin, "SELECT 1 AS one")
    etag = admin.get(f"/statements/{told['id']}").headers["etag"]
    for _ in range(2):
        assert admin.delete(f"/statements/{told['id']}/result").status_code == 204
    gone = admin.get(f"/statements/{told['id']}/result")
    assert gone.status_code in (404, 410), gone.text
    after = admin.get(f"/statements/{told['id']}", headers={"If-None-Match": etag})
    assert (after.status_code, after.json()["result"]) == (200, None)
    assert admin.get(f"/statements/{told['id']}/bill").json()["state"] == "billed"


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, "sql_syntax"),
        ("SELECT idd FROM orders", 400, None),
        ("SELECT * FROM ordres", 404, None),
        ("SELECT 1; SELECT 2", 400, None),
        ("VACUUM orders", 400, None),
    ],
)
def test_wrong_sql_is_told_with_its_place_and_kept(
    admin: httpx.Client, sql: str, status: int, code: str | None
) -> None:
    answer = admin.post("/statements", json={"sql": sql, "database": "sales"})
    told = answer.json()
    assert answer.status_code in (status, 400), answer.text
    assert code in (None, told["code"])
    assert told["detail"]
    kept = admin.get(f"/statements/{told['job_id']}").json()
    assert (kept["state"], kept["error"]["code"]) == ("failed", told["code"])
    assert kept["bill"] is None or Decimal(kept["bill"]["amount"]) == 0


def test_a_cap_below_the_price_refuses(admin: httpx.Client) -> None:
    answer = admin.post(
        "/statements",
        json={"sql": "SELECT * FROM orders", "database": "sales", "max_cost": "0.000000001"},
    )
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "cost_cap_exceeded")
    assert Decimal(told["price"]) > Decimal(told["cap"])
    answer = admin.post(
        "/statements", json={"sql": "SELECT * FROM orders", "database": "sales", "max_bytes": 10}
    )
    assert answer.status_code == 422, answer.text


def test_an_empty_budget_refuses_what_costs(service: Service, admin: httpx.Client) -> None:
    admin.put("/budget", json={"amount": "0"})
    try:
        answer = admin.post(
            "/statements", json={"sql": "SELECT sum(id) AS n FROM orders", "database": "sales"}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "budget_exceeded")
        assert run(admin, "SELECT 1 AS free")["state"] == "finished"
    finally:
        admin.put("/budget", json={"amount": None})


def test_parameters_are_values(admin: httpx.Client) -> None:
    told = run(
        admin,
        "SELECT count(*) AS n FROM orders WHERE kind = :kind",
        parameters={"kind": "k1' OR '1'='1"},
    )
    assert told["result"]["inline"] == [["0"]]


def test_the_same_key_gives_the_same_statement(admin: httpx.Client) -> None:
    body = {"sql": "SELECT 41 + 1 AS n", "wait": "60s"}
    headers = {"Idempotency-Key": "statement-1"}
    first = admin.post("/statements", json=body, headers=headers).json()
    again = admin.post("/statements", json={**body, "wait": "1s"}, headers=headers).json()
    assert again["id"] == first["id"]
    other = admin.post("/statements", json={**body, "sql": "SELECT 1"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_reader_may_not_write(service: Service, admin: httpx.Client) -> None:
    token = admin.post("/tokens", json={"name": "r", "user": "rita", "role": "reader"}).json()
    with service.client(token["token"]) as reader:
        assert run(reader, "SELECT count(*) AS n FROM orders")["state"] == "finished"
        answer = reader.post("/statements", json={"sql": "CREATE DATABASE mine"})
        assert (answer.status_code, answer.json()["code"]) == (403, "write_forbidden")
        mine, foreign = run(reader, "SELECT 1 AS x")["id"], run(admin, "SELECT 1 AS x")["id"]
        for statement_id, status in ((mine, 204), (foreign, 403)):
            path = f"/statements/{statement_id}"
            assert reader.get(path).status_code == 200
            assert reader.delete(f"{path}/result").status_code == status
            assert reader.post(f"{path}/cancel").status_code == (200 if status == 204 else 403)


def test_a_running_statement_is_cancelled(admin: httpx.Client) -> None:
    answer = admin.post("/statements", json={"sql": ENDLESS, "wait": "0s"})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["location"] == told["links"]["self"]
    assert (told["terminal"], told["bill"]) == (False, None)
    asked = admin.post(f"/statements/{told['id']}/cancel").json()
    assert asked["state"] in ("cancelling", "cancelled")
    after = ended(admin, told["id"])
    assert after["state"] == "cancelled"
    assert Decimal(after["bill"]["amount"]) == 0
    assert admin.post(f"/statements/{told['id']}/cancel").json()["state"] == "cancelled"


def test_a_timeout_is_told(admin: httpx.Client) -> None:
    told = run(admin, ENDLESS, timeout="1s")
    assert (told["state"], told["error"]["code"]) == ("cancelled", "statement_timeout")


def test_a_long_poll_answers_when_something_changes(admin: httpx.Client) -> None:
    told = run(admin, "SELECT 1 AS x")
    path = f"/statements/{told['id']}"
    etag = admin.get(path).headers["etag"]
    began = time.monotonic()
    same = admin.get(path, params={"wait": "1s"}, headers={"If-None-Match": etag})
    assert same.status_code == 304
    assert time.monotonic() - began >= 0.9
    assert admin.get(path, params={"wait": "30s"}).status_code == 200
    assert admin.get(path, params={"wait": "61s"}).json()["code"] == "invalid_request"


def read_events(client: httpx.Client, path: str, **headers: str) -> list[tuple[str, str, Any]]:
    """Id, name and data of all events until the stream ends."""
    found = []
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "event" in event:
                data = json.loads(event["data"])
                found.append((event.get("id", ""), event["event"], data))
                event = {}
    return found


def test_events_tell_the_whole_life_and_resume(admin: httpx.Client) -> None:
    told = admin.post(
        "/statements", json={"sql": "SELECT max(id) AS m FROM sales.orders", "wait": "0s"}
    ).json()
    path = f"/statements/{told['id']}/events"
    events = read_events(admin, path)
    states = [(number, data["state"]) for number, name, data in events if name == "state"]
    assert [state for _, state in states][-1] == "finished"
    assert [number for number, _ in states] == [str(n + 1) for n in range(len(states))]
    assert events[-1][1] == "usage"
    assert events[-1][2]["bill"]["amount"] == ended(admin, told["id"])["bill"]["amount"]
    resumed = read_events(admin, path, **{"Last-Event-ID": states[-2][0]})
    assert [number for number, name, _ in resumed if name == "state"] == [states[-1][0]]
    over = admin.get(path, headers={"Last-Event-ID": states[-1][0]})
    assert over.status_code == 204
    assert admin.get(path, headers={"Last-Event-ID": "x"}).status_code == 400


def test_statements_are_listed_by_what_they_are(admin: httpx.Client) -> None:
    made = [run(admin, f"SELECT {n} AS n", labels={"team": "list"})["id"] for n in range(3)]
    page = admin.get("/statements", params={"label": "team=list", "limit": 2}).json()
    StatementsPage.model_validate(page)
    rest = admin.get(
        "/statements", params={"label": "team=list", "cursor": page["next_cursor"]}
    ).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None
    none = admin.get("/statements", params={"label": "team=list", "state": "failed"}).json()
    assert none["items"] == []


def test_usage_adds_up_to_the_bills(admin: httpx.Client) -> None:
    label = {"team": "usage"}
    bills = [
        Decimal(run(admin, sql, labels=label)["bill"]["amount"])
        for sql in ("SELECT sum(id) AS n FROM orders", "SELECT max(kind) AS k FROM orders")
    ]
    report = admin.get("/usage", params={"group_by": "label:team,queue"}).json()
    line = next(one for one in report["items"] if one["label:team"] == "usage")
    assert line["queue"] == "default"
    assert line["statements"] == 2
    assert Decimal(line["amount"]) == sum(bills) > 0
    assert Decimal(report["total"]["amount"]) >= sum(bills)
    budget = admin.get("/budget").json()
    assert Decimal(budget["spent"]) == Decimal(report["total"]["amount"])
    assert Decimal(budget["reserved"]) == 0


def test_waiting_holds_no_thread(service: Service) -> None:
    """More waiting requests than there are threads, and the service still answers."""
    with service.client() as admin:
        told = admin.post("/statements", json={"sql": ENDLESS, "wait": "0s"}).json()
        etag = admin.get(f"/statements/{told['id']}").headers["etag"]
        statuses: list[int] = []

        def wait() -> None:
            answer = admin.get(
                f"/statements/{told['id']}",
                params={"wait": "20s"},
                headers={"If-None-Match": etag},
            )
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=wait) for _ in range(60)]
        for thread in threads:
            thread.start()
        with service.client() as other:
            began = time.monotonic()
            assert other.get("/queues").status_code == 200
            assert time.monotonic() - began < 18, "the others wait for 20"
        admin.post(f"/statements/{told['id']}/cancel")
        for thread in threads:
            thread.join()
    assert len(statuses) == 60


def test_the_metrics_tell_of_statements(service: Service, admin: httpx.Client) -> None:
    run(admin, "SELECT sum(id) AS n FROM orders")
    text = httpx.get(
        f"{service.url}/metrics", headers={"Authorization": f"Bearer {service.token}"}
    ).text
    assert 'dli_statement_seconds_count{outcome="finished"}' in text
    assert 'dli_usage_total{meter="scan.bytes"}' in text
    assert 'dli_jobs{kind="statement",state="running"} 0.0' in text
    assert "dli_orphans_total 0.0" in text
    assert 'dli_engines{engine="sail",state="ready"} 1.0' in text
