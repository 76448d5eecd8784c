from __future__ import annotations

import pytest

from jobs.tasks.errors import ImageRefusedError, ImageUnsupportedError
from jobs.tasks.images import Images

IMAGES = Images(patterns=("registry.example.org/tools/*", "debian:12"), possible=True)


@pytest.mark.parametrize("image", ["debian:12", "registry.example.org/tools/sub/convert:1.2"])
def test_an_image_that_fits_a_pattern_is_allowed(image: str) -> None:
    IMAGES.check(image)


@pytest.mark.parametrize("image", ["debian:13", "evil.example.org/registry.example.org/tools/x"])
def test_any_other_is_refused(image: str) -> None:
    with pytest.raises(ImageRefusedError, match="not allowed"):
        IMAGES.check(image)


def test_a_near_one_is_told() -> None:
    with pytest.raises(ImageRefusedError) as caught:
        IMAGES.check("debain:12")
    assert caught.value.hint == "did you mean debian:12?"


def test_without_patterns_the_operator_is_named() -> None:
    with pytest.raises(ImageRefusedError) as caught:
        Images(possible=True).check("debian:12")
    assert "task_images" in (caught.value.hint or "")


def test_where_runs_are_processes_there_are_none() -> None:
    processes = Images(patterns=("*",))
    assert not processes
    with pytest.raises(ImageUnsupportedError, match="kubernetes launcher"):
        processes.check("debian:12")
