"""The page of the API stands alone, and hides no operation."""

from __future__ import annotations

from dli.api.docs import docs_page

OPENAPI = {
    "info": {"title": "dli", "version": "1", "description": "Takes `a` & <b>."},
    "paths": {
        "/x/{id}": {
            "get": {
                "tags": ["things"],
                "description": "One <thing>.",
                "parameters": [{"name": "id", "in": "path", "required": True}],
                "responses": {
                    "200": {
                        "description": "Good.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/X"}}
                        },
                    }
                },
            }
        }
    },
    "components": {"schemas": {"X": {"type": "object"}}},
}


def test_the_page_shows_calls_and_schemas_escaped() -> None:
    page = docs_page(OPENAPI)
    assert "<code>/x/{id}</code>" in page
    assert "One &lt;thing&gt;." in page
    assert "<code>a</code> &amp; &lt;b&gt;." in page
    assert '<a href="#X">X</a>' in page
    assert '<details id="X">' in page


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = docs_page(OPENAPI)
    assert "http" not in page
    assert "<script" not in page
