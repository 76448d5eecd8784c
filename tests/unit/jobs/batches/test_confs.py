"""Which keys of Spark's configuration a batch may set, and what is told of the others."""

from __future__ import annotations

import pytest

from jobs.batches.confs import ConfRefusedError, checked_confs
from jobs.errors import RequestInvalidError
from jobs.queues.definitions import CONF_ALLOWED


def test_allowed_keys_are_kept_in_order() -> None:
    confs = {"spark.sql.shuffle.partitions": "8", "spark.rdd.compress": "true"}
    assert list(checked_confs(confs, CONF_ALLOWED).items()) == sorted(confs.items())


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("spark.driver.memory", "sizes are given by `size`"),
        ("spark.executor.cores", "sizes are given by `size`"),
        ("spark.executor.instances", "given by `executors`"),
        ("spark.master", "decides where"),
        ("spark.submit.deployMode", "how a program is started"),
        ("spark.jars.packages", "files are given by"),
        ("spark.driver.extraJavaOptions", "how the driver is started"),
        ("spark.eventLog.dir", "keeps the event log"),
        ("spark.local.dir", "a folder of its own"),
        ("spark.pyspark.python", "chooses the Python"),
        ("spark.hadoop.fs.s3a.secret.key", "which stores"),
        ("spark.sql.warehouse.dir", "a folder of its own"),
    ],
)
def test_what_the_service_decides_is_never_allowed(key: str, part: str) -> None:
    with pytest.raises(ConfRefusedError) as caught:
        checked_confs({key: "x"}, ("spark.*",))
    assert part in caught.value.message
    assert caught.value.details["key"] == key


def test_a_key_that_the_queue_does_not_allow_is_named() -> None:
    with pytest.raises(ConfRefusedError) as caught:
        checked_confs({"spark.sql.ansi.enabled": "false"}, ("spark.shuffle.*",))
    assert caught.value.message.startswith("spark.sql.ansi.enabled is not on the queue's list")
    assert caught.value.hint == "allowed are: spark.shuffle.*"


def test_a_mistyped_key_gets_a_near_one() -> None:
    with pytest.raises(ConfRefusedError) as caught:
        checked_confs({"spark.sqll.shuffle.partition": "8"}, CONF_ALLOWED)
    assert caught.value.hint == "did you mean spark.sql.shuffle.partitions?"


def test_a_near_key_is_one_that_is_allowed() -> None:
    with pytest.raises(ConfRefusedError) as caught:
        checked_confs({"spark.sqll.shuffle.partitions": "8"}, ())
    assert caught.value.hint == "the queue allows none"


def test_locality_is_not_a_place() -> None:
    assert checked_confs({"spark.locality.wait": "1s"}, CONF_ALLOWED)


@pytest.mark.parametrize("confs", [{"spark.sql.x": "a" * 5000}, {"spark.sql.x": "a\x00"}])
def test_values_are_bounded_text(confs: dict[str, str]) -> None:
    with pytest.raises(RequestInvalidError):
        checked_confs(confs, CONF_ALLOWED)


def test_there_are_not_too_many() -> None:
    with pytest.raises(RequestInvalidError):
        checked_confs({f"spark.sql.x{n}": "1" for n in range(201)}, CONF_ALLOWED)
