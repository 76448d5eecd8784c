"""YAML as JSON has it. Loaded only where a file is read: the library is slow to load."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import yaml


class DocumentError(Exception):
    """A text that cannot be read; the message tells the place."""


def parse_document(text: str) -> dict[str, Any]:
    """The object in a text of YAML or JSON. Raises ``DocumentError``.

    Dates and words such as ``on`` and ``no`` stay the text that they are, and a key that is there
    twice is a mistake.
    """
    try:
        return _json(text)  # nearly a part of YAML, but for how characters are escaped
    except ValueError:
        pass
    try:
        found = yaml.load(text, _Loader)  # noqa: S506  a safe loader, with less in it
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{place}{error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentError(f"it cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise DocumentError("it holds no object; write names and values, as kind: statement")
    return found


def _json(text: str) -> dict[str, Any]:
    """Raises ``ValueError`` for what is no JSON object, or has a key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is given twice")
        return dict(pairs)

    found = json.loads(text, object_pairs_hook=unique)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


class _Loader(yaml.SafeLoader):
    """What JSON has: text, numbers, ``true`` and ``false``, ``null``, lists and objects."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp"
            and not (tag == "tag:yaml.org,2002:bool" and first not in "tTfF")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key_node.value!r} is given twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)
