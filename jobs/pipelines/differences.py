"""What changed between two texts of a pipeline, node by node and field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.pipelines.spec import Pipeline, node_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A field before and after; None where it was not, or is not any more."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``fields`` are those of the pipeline, ``changed`` those of nodes that both texts have."""

    fields: Mapping[str, Change] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, Mapping[str, Change]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether both say the same."""
        return not (self.fields or self.added or self.removed or self.changed)


def compare(before: Pipeline, after: Pipeline) -> Difference:
    """What was done to ``before`` to make it ``after``."""
    old, new = to_json(before), to_json(after)
    del old["nodes"], new["nodes"]
    both = [name for name in before.nodes if name in after.nodes]
    changed = {
        name: _changes(node_json(before.nodes[name]), node_json(after.nodes[name])) for name in both
    }
    return Difference(
        fields=_changes(old, new),
        added=tuple(name for name in after.nodes if name not in before.nodes),
        removed=tuple(name for name in before.nodes if name not in after.nodes),
        changed={name: fields for name, fields in changed.items() if fields},
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    return {
        name: Change(before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
