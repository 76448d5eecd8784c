"""A page that shows the description of the API to people, without anything from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f5f5f5;padding:.7rem;overflow:auto}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}
.get{color:#0a6}.post{color:#06c}.put,.patch{color:#a60}.delete{color:#c22}h2{margin-top:2rem}
b.m{display:inline-block;width:4.5rem;text-transform:uppercase}
@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}pre{background:#222}}
"""


def docs_page(openapi: Mapping[str, Any]) -> str:
    """One HTML page: calls by tag, with parameters, bodies and answers, and all schemas."""
    return "".join(_page(openapi))


def _page(openapi: Mapping[str, Any]) -> Iterator[str]:
    info = openapi["info"]
    yield "<!doctype html><html lang=en><meta charset=utf-8>"
    yield '<meta name=viewport content="width=device-width">'
    yield f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
    yield f'<p>{_text(info["description"])}</p><p><a href="/openapi.json">openapi.json</a></p>'
    tags: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            told = "".join(_operation(method, path, operation))
            tags.setdefault(operation.get("tags", ["other"])[0], []).append(told)
    for tag, told_all in tags.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from told_all
    yield "<h2>schemas</h2>"
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<pre>{escape(json.dumps(schema, indent=1))}</pre></details>"
    yield "</html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    description = operation.get("description", "")
    first, _, _ = description.partition("\n")
    yield f'<details><summary><b class="m {method}">{method}</b> <code>{escape(path)}</code> '
    yield f"{_text(first)}</summary><p>{_text(description)}</p>"
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>parameter<th>in<th>"
        for one in parameters:
            name = escape(one["name"]) + (" *" if one.get("required") else "")
            yield f"<tr><td><code>{name}</code><td>{escape(one['in'])}"
            yield f"<td>{_text(one.get('description', ''))}"
        yield "</table>"
    if body := operation.get("requestBody"):
        yield f"<p>Body: {_schema(body.get('content', {}))}</p>"
    yield "<table>"
    for status, answer in operation.get("responses", {}).items():
        yield f"<tr><td>{escape(status)}<td>{_schema(answer.get('content', {}))}"
        yield f"<td>{_text(answer.get('description', ''))}"
    yield "</table></details>"


def _schema(content: Mapping[str, Any]) -> str:
    """Media types with links to their schemas."""
    told = []
    for media_type, body in content.items():
        names = [
            str(one["$ref"]).rsplit("/", 1)[-1]
            for one in (body.get("schema", {}), *body.get("schema", {}).get("anyOf", ()))
            if "$ref" in one
        ]
        links = " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
        told.append(f"{links} <code>{escape(media_type)}</code>".strip())
    return "<br>".join(told)


def _text(text: str) -> str:
    """Escaped, with the code between backticks marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
