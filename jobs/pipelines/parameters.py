"""The values that a run is given: checked against what the pipeline declares."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jobs.pipelines.errors import ParameterInvalidError
from jobs.pipelines.spec import Pipeline
from jobs.pipelines.values import Typed, read_value


def complete(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each parameter, as JSON, defaults where none is given.

    Raises ``ParameterInvalidError`` for one that is missing, unknown, or of another type.
    """
    for name in given:
        if name not in pipeline.parameters:
            near = get_close_matches(str(name), pipeline.parameters, n=1)
            known = ", ".join(pipeline.parameters) or "none"
            raise ParameterInvalidError(
                f"pipeline {pipeline.name} has no parameter {str(name)!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"there are: {known}",
                parameter=str(name),
            )
    values: dict[str, Any] = {}
    for name, parameter in pipeline.parameters.items():
        if name not in given and parameter.required:
            raise ParameterInvalidError(
                f"parameter {name} ({parameter.type}) has no value",
                hint=f"give it: --param {name}=VALUE",
                parameter=name,
            )
        try:
            value = read_value(parameter.type, given.get(name))
        except ValueError as error:
            raise ParameterInvalidError(f"parameter {name} {error}", parameter=name) from error
        values[name] = parameter.default if name not in given else value
    return values


def typed(pipeline: Pipeline, values: Mapping[str, Any]) -> dict[str, Typed]:
    """The values of ``complete`` with their types."""
    return {
        name: Typed(type=parameter.type, value=values.get(name))
        for name, parameter in pipeline.parameters.items()
    }
