"""Documents of nodes checked before anything runs, with examples in the places of references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.accepting import LABEL_NAME, LONGEST_LABEL, MOST_LABELS
from jobs.documents import JobDocuments
from jobs.errors import RequestInvalidError
from jobs.pipelines.errors import Fault, PipelineInvalidError
from jobs.pipelines.references import OUTPUTS, Ref, resolve
from jobs.pipelines.spec import Pipeline
from jobs.pipelines.values import Typed
from storage.base.ids import ProjectId

_EXAMPLES: Final[Mapping[str, Any]] = {
    "string": "x",
    "int": 1,
    "bigint": 1,
    "double": 1.0,
    "boolean": True,
    "date": "2026-01-31",
    "timestamp": "2026-01-31T00:00:00Z",
}


def check_documents(pipeline: Pipeline, documents: JobDocuments, project_id: ProjectId) -> None:
    """Raise ``PipelineInvalidError`` for every node whose job cannot be read, and every label.

    What a reference stands for is known when it runs; a complaint about such a field is none.
    """
    faults = list(_label_faults(pipeline.labels))
    for name, node in pipeline.nodes.items():
        places = {".".join(place.path) for place in node.places()}
        if node.document.get("lease") is not None:
            message = "a node has no client to renew it; give it a timeout instead"
            faults.append(Fault(field=f"nodes.{name}.lease", message=message, hint=None))
        try:
            example = resolve(node.document, lambda ref: _example(pipeline, ref))
            documents.check(example, project_id)
        except RequestInvalidError as error:
            faults += [
                Fault(field=f"nodes.{name}.{told['field']}", message=told["message"], hint=hint)
                for told in _told(error)
                if told["field"] not in places
                for hint in [told.get("hint")]
            ]
    if faults:
        raise PipelineInvalidError.of(faults)


def _label_faults(labels: Mapping[str, str]) -> Iterator[Fault]:
    """What the API refuses in the labels of a job; every run and all its jobs have these."""
    if len(labels) > MOST_LABELS:
        yield Fault(field="labels", message=f"are more than {MOST_LABELS}", hint=None)
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(name):
            message = "is no name: a letter, then letters, digits, _, . and -, at most 63"
            yield Fault(field=f"labels.{name}", message=message, hint=None)
        if len(value) > LONGEST_LABEL:
            message = f"has more than {LONGEST_LABEL} characters"
            yield Fault(field=f"labels.{name}", message=message, hint=None)


def _told(error: RequestInvalidError) -> list[dict[str, Any]]:
    errors = error.details.get("errors")
    if isinstance(errors, list) and errors:
        return errors
    field = error.details.get("field")
    message = error.message.removeprefix(f"{field}: ")
    return [{"field": field or "kind", "message": message, "hint": error.hint}]


def _example(pipeline: Pipeline, ref: Ref) -> Typed:
    if ref.parameter is None:
        return Typed(type=OUTPUTS[ref.output] or "string", value="1")
    declared = pipeline.parameters[ref.parameter]
    value = declared.default if declared.default is not None else _EXAMPLES.get(declared.type, "1")
    return Typed(type=declared.type, value=value)
