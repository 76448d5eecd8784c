"""What every group of calls is made of: JSON of the API, page by page, and nothing made twice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from dli.remote.transport import Answer, Transport

Json = dict[str, Any]
API = "/api/v1"


class Calls:
    """A part of ``Client``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _ask(self, method: str, path: str, **how: Any) -> Answer:
        return self._transport.ask(method, f"{API}{path}", **how)

    def _create(self, path: str, body: Json) -> Json:
        """A POST that may be repeated when its answer is lost: nothing is made twice."""
        return self._json("POST", path, body=body, headers={"Idempotency-Key": uuid.uuid4().hex})

    def _again(self, path: str) -> Json:
        """A POST without a body that may be repeated when its answer is lost."""
        return self._json("POST", path, headers={"Idempotency-Key": uuid.uuid4().hex})

    def _first(self, path: str, most: int) -> list[Json]:
        """The first ``most`` items of a list."""
        return list(islice(self._pages(path, {"limit": min(most, 1000)}), most))

    def _uploaded(self, path: Path) -> Json:
        """A reference to a file of this machine, which is kept with the project."""
        kept = cast(Json, self._transport.upload(f"{API}/files", path).body)
        return {"name": path.name, "sha256": kept["sha256"]}

    def _with_files(self, value: Any) -> Any:
        """``value`` as JSON has it: each ``Path`` in it is a file of this machine, uploaded."""
        match value:
            case Path():
                return self._uploaded(value)
            case dict():
                return {name: self._with_files(each) for name, each in value.items()}
            case list():
                return [self._with_files(each) for each in value]
            case _:
                return value

    def _json(self, method: str, path: str, **how: Any) -> Json:
        return cast(Json, self._ask(method, path, **how).body or {})

    def _pages(
        self, path: str, query: Mapping[str, object] | None = None, **how: Any
    ) -> Iterator[Json]:
        """All items of a list, page after page by its cursor."""
        cursor: str | None = None
        while True:
            page = self._json("GET", path, query={**(query or {}), "cursor": cursor}, **how)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return


def present(fields: Mapping[str, object]) -> Json:
    """Those that say something."""
    return {name: value for name, value in fields.items() if value is not None}
