"""A thousand statements leave no process, session, connection or file behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from benchmarks.service import Service
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that

COUNT = 1_000
CLIENTS = 8


def run_many(service: Service, count: int) -> None:
    """Run statements of all ends from several clients."""

    def one(client_number: int) -> None:
        with service.client() as client:
            for number in range(count // CLIENTS):
                text = "SELECT 1/0" if number % 50 == 7 else f"SELECT {client_number} AS n"
                ended = client.wait(client.submit(text, wait="30s"))
                assert ended.state == ("failed" if "/0" in text else "finished")

    with ThreadPoolExecutor(CLIENTS) as pool:
        for future in [pool.submit(one, number) for number in range(CLIENTS)]:
            future.result()


def measured(service: Service) -> tuple[int, int, int]:
    """Processes, open files of all of them, and threads of the service."""
    processes = [psutil.Process(service.process.pid), *service.children()]
    return (
        len(processes),
        sum(process.num_fds() for process in processes),
        processes[0].num_threads(),
    )


@pytest.mark.timeout(600)
def test_a_thousand_statements_leave_nothing_behind(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    run_many(service, 200)  # pools and caches have their size
    before = measured(service)
    run_many(service, COUNT)

    def settled() -> bool:
        processes, files, threads = measured(service)
        return processes <= before[0] and files <= before[1] + 20 and threads <= before[2] + 8

    assert await_that(settled, seconds=20, every=0.5), (before, measured(service))
    with service.client() as client:
        (line,) = client.usage(group_by="queue")["items"]
        assert int(line["statements"]) >= COUNT
