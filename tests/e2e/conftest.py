"""Real services as child processes; what they started is looked for after each of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from benchmarks.service import Service, end_all, register_tpch, running_service, start_service
from benchmarks.tpch import TABLES, generate
from dli.client import Client

# A shell that runs us in the background lets us ignore it, and so would all that we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tpch() -> Path:
    """The folder of TPC-H at scale 0.1, one Parquet file a table."""
    return generate("0.1")


@pytest.fixture(scope="session")
def service(tpch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that do not harm it, with the TPC-H tables in ``tpch``."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    home.mkdir()
    with running_service(home, allow=[tpch]) as service:
        with service.client() as client:
            register_tpch(client, tpch, TABLES)
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


#: Starts a service on a home of the test's own; the arguments are those of ``start_service``.
Starter = Callable[..., Service]


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """Start services that the test may kill; at its end none of their processes may live."""
    seen: dict[int, psutil.Process] = {}
    with ExitStack() as stack:

        def start(home: Path | None = None, **how: object) -> Service:
            folder = home or tmp_path / "home"
            folder.mkdir(exist_ok=True)
            service = start_service(folder, **how)  # type: ignore[arg-type]
            stack.callback(_finish, service, seen)
            return service

        yield start
    # A cleaner end is a test of its own; here nothing may outlive the test.
    end_all(list(seen.values()))


def _finish(service: Service, seen: dict[int, psutil.Process]) -> None:
    seen.update({process.pid: process for process in service.children()})
    if service.process.poll() is None:
        service.stop()
