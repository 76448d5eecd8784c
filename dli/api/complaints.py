"""What is wrong with a body, field by field in plain words; never the values, maybe secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel


def complaints(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel] | None
) -> list[dict[str, Any]]:
    """``field``, ``message`` and maybe ``hint`` of each error that pydantic found."""
    return [_complaint(item, model) for item in errors]


def summed_up(told: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """One message of the first five, and the first hint."""
    message = "; ".join(f"{item['field']}: {item['message']}" for item in told[:5])
    hints = [item["hint"] for item in told if item.get("hint")]
    return message, hints[0] if hints else None


def _complaint(item: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    place = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
    field = ".".join(place) or "body"
    kind = item["type"]
    if kind == "json_invalid":
        return {"field": "body", "message": f"is not JSON: {item['ctx']['error']}"}
    if kind == "extra_forbidden":
        near = get_close_matches(place[-1], _known(model, place[:-1]), n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        return {"field": field, "message": "is not a known field", "hint": hint}
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        told, tag = item["ctx"], f"{field}.{_unquoted(item['ctx']['discriminator'])}"
        if kind == "union_tag_not_found":
            return {"field": tag, "message": "is missing"}
        return {"field": tag, "message": f"is none of {_unquoted(told['expected_tags'])}"}
    message = str(item["msg"]).removeprefix("Value error, ")
    return {"field": field, "message": message[:1].lower() + message[1:]}


def _unquoted(names: str) -> str:
    return names.replace("'", "")


def _known(model: type[BaseModel] | None, path: Sequence[str]) -> list[str]:
    """Names of the fields at a place of the body, for a near match."""
    for part in path:
        fields = getattr(model, "model_fields", {})
        model = _model_in(fields[part].annotation) if part in fields else None
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of ``X`` or ``X | None``."""
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None
