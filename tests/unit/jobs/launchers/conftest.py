"""What tests of what asks an API server share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api_servers import ApiServer, api_server


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server() as made:
        yield made
