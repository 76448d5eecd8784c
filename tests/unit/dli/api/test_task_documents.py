from __future__ import annotations

import pytest

from dli.api.schemas.tasks import TaskBody
from jobs.files import file_uri
from storage.base.errors import ServiceError
from tests.support.documents import check_document


def test_a_task_is_a_document() -> None:
    check_document({"kind": "task", "command": ["cat"], "stdin": "s3://lake/in.csv", "cores": 2})


def test_an_image_may_be_given_any_environment() -> None:
    fields = {"image": "debian:12", "environment": {"PATH": "/opt/tools"}}
    check_document({"kind": "task", "command": ["convert"], **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ["cat"], "image": "two words"}, "is no name of an image"),
        ({"command": [""]}, "command: is empty"),
        ({"command": ["cat"], "outputs": ["a/../b"]}, "is no pattern"),
        ({"command": ["cat"], "outputs": ["stdout"]}, "kept anyway"),
        ({"command": ["cat"], "outputs": ["a**b"]}, "is no pattern"),
        ({"command": ["cat"], "environment": {"PATH": "/x"}}, "not yours to set"),
        ({"command": ["cat"], "environment": {"A B": "x"}}, "cannot name a variable"),
        ({"command": ["cat"], "wait": "5s"}, "wait: has no meaning"),
        ({"command": ["cat"], "stdin": {"part": "x"}}, "there is no form with a file 'x'"),
    ],
)
def test_a_wrong_one_is_told_by_its_field(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_document({"kind": "task", **fields})
    assert said in caught.value.message


def test_what_a_job_left_is_named_by_its_address() -> None:
    address = file_uri("ab" * 32, "a b.csv")
    body = TaskBody.model_validate({"command": ["cat"], "stdin": address, "files": [address]})
    assert body.stdin is not None
    assert (body.stdin.sha256, body.stdin.name, body.stdin.uri) == ("ab" * 32, "a b.csv", None)
    renamed = TaskBody.model_validate(
        {"command": ["cat"], "files": [{"uri": address, "name": "c.csv"}]}
    )
    assert renamed.files[0].name == "c.csv"
