from __future__ import annotations

from pathlib import Path

import pytest

from dli.client import Client
from dli.remote.problems import ApiError, StatementFailedError, UnreachableError
from tests.support.envelopes import STATEMENT_ID, envelope
from tests.support.fake_service import Reply, fake_service

BUSY = Reply(status=503, body={"code": "busy", "detail": "later", "retryable": True})


def test_submit_is_repeated_under_one_key() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/statements", BUSY, Reply(body=envelope()))
        assert client.submit("SELECT 1").state == "finished"
        first, second = service.asked
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_two_submits_have_two_keys() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/statements", Reply(body=envelope()))
        client.submit("SELECT 1")
        client.submit("SELECT 1")
        keys = {asked.headers["Idempotency-Key"] for asked in service.asked}
    assert len(keys) == 2


def test_post_without_key_is_asked_once() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/tokens", BUSY)
        with pytest.raises(ApiError, match="later"):
            client.create_token(name="x")
        assert len(service.asked) == 1


def test_refusal_is_not_repeated() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("GET /api/v1/queues", Reply(status=429, body={"code": "full", "detail": "no"}))
        with pytest.raises(ApiError) as caught:
            client.queues()
        assert (caught.value.code, caught.value.status, len(service.asked)) == ("full", 429, 1)


def test_nobody_there_is_unreachable() -> None:
    client = Client("http://127.0.0.1:9", patient=False)
    with client, pytest.raises(UnreachableError, match=":9"):
        client.health()


def test_service_of_this_machine_is_reached_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with fake_service() as service, Client(service.url) as client:
        service.on("GET /readyz", Reply(body={"status": "ready"}))
        client.health()
    with Client("http://dli.example", patient=False) as far, pytest.raises(UnreachableError):
        far.health()  # by the proxy, which is away; no name is looked up


def test_answer_of_something_else_is_told_apart() -> None:
    with fake_service() as service, Client(service.url) as client:
        service.on("GET /readyz", Reply(status=502, body=b"<html>Bad gateway</html>"))
        with pytest.raises(ApiError) as caught:
            client.health()
    assert caught.value.code == "unexpected_answer"


def test_list_is_read_to_its_last_page() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on(
            "GET /api/v1/statements",
            Reply(body={"items": [{"id": 1}, {"id": 2}], "next_cursor": "abc"}),
            Reply(body={"items": [{"id": 3}], "next_cursor": None}),
        )
        assert [item["id"] for item in client.statements(state="failed")] == [1, 2, 3]
        assert service.asked[1].path.endswith("state=failed&cursor=abc")


def test_failed_statement_raises_its_problem() -> None:
    error = {"code": "division_by_zero", "message": "division by zero", "hint": "try_divide"}
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/statements", Reply(body=envelope("failed", error=error)))
        with pytest.raises(StatementFailedError, match="try_divide") as caught:
            client.run("SELECT 1 / 0")
    assert caught.value.code == "division_by_zero"
    assert caught.value.statement_id == STATEMENT_ID


def test_interrupt_cancels_the_statement() -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/statements", Reply(status=202, body=envelope("running")))
        cancel = f"POST /api/v1/statements/{STATEMENT_ID}/cancel"
        service.on(cancel, Reply(body=envelope("cancelling")))
        with pytest.raises(KeyboardInterrupt):
            client.run("SELECT 1", on_change=interrupt)
        assert service.asked[-1].path.endswith("/cancel")


def test_values_come_typed() -> None:
    with fake_service() as service, Client(service.url, "t") as client:
        service.on("POST /api/v1/statements", Reply(body=envelope(), headers={"ETag": '"7"'}))
        statement = client.run("SELECT 1")
    assert statement.result is not None
    assert statement.result.complete_inline
    assert str(statement.bill) == str(statement.price) == "USD 0.000265"
    assert (statement.engine, statement.seconds, statement.etag) == ("sail 0.7.2", 0.042, '"7"')


def test_a_batch_uploads_its_files_and_names_them_by_hash(tmp_path: Path) -> None:
    for name in ("app.py", "lib.py"):
        (tmp_path / name).write_text('{"file": "' + name + '"}')
    with fake_service() as service, Client(service.url, "t") as client:
        kept = [Reply(status=201, body={"sha256": sha}) for sha in ("a1", "b2")]
        service.on("POST /api/v1/files", BUSY, *kept)
        service.on("POST /api/v1/batches", Reply(status=202, body={"id": "bat_1"}))
        places: list[Path | str] = [tmp_path / "lib.py", "s3://b/more.zip"]
        job = client.submit_batch(tmp_path / "app.py", py_files=places, size="small")
        first, again, _, submit = service.asked
    assert job["id"] == "bat_1"
    assert first.body == again.body == b'{"file": "app.py"}'
    assert submit.body == {
        "size": "small",
        "program": {"name": "app.py", "sha256": "a1"},
        "py_files": [{"name": "lib.py", "sha256": "b2"}, {"uri": "s3://b/more.zip"}],
    }
