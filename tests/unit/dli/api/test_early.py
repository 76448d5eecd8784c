from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from dli.api.app import create_app
from dli.api.early import EarlyApp, is_early
from dli.services import Services
from dli.settings.loading import load
from dli.wiring.build import build


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with build(load(home=tmp_path)) as services:
        yield services


async def get(app: EarlyApp, path: str) -> int:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        return (await http.get(path)).status_code


def test_what_is_early_is_known_early(services: Services) -> None:
    early = EarlyApp(services)
    paths = {str(route.path) for route in iter_route_contexts(create_app(services).routes)}
    known = {str(route.path) for route in iter_route_contexts(early.routes)}
    assert known == {path for path in paths if is_early(path)}


def test_a_request_for_the_rest_waits_until_it_is_loaded(services: Services) -> None:
    app = EarlyApp(services)

    async def both() -> tuple[int, int]:
        late = asyncio.create_task(get(app, "/api/v1/queues"))
        at_once = await get(app, "/healthz")
        assert not late.done()
        threading.Thread(target=app.load).start()
        return at_once, await late

    assert asyncio.run(both()) == (200, 401)
    assert not app.broken


def test_a_rest_that_cannot_be_loaded_is_told(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dli.api.app", None)
    app = EarlyApp(services)
    app.load()
    assert app.broken
    with pytest.raises(ModuleNotFoundError):
        asyncio.run(get(app, "/api/v1/queues"))
