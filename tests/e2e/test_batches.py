"""Spark programs over the command line, with real drivers: good ones, bad ones, stubborn ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.service import DLI, Service, running_service
from benchmarks.tour import comparable, play, steps_of
from jobs.engines.java import find_java, spark_jars
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, load_of, of_home

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.spark]

ROOT = Path(__file__).parents[2]
WORD_COUNT = ROOT / "docs" / "examples" / "word_count.py"
SMALLEST = ("--cores", "1", "--memory", "1536MiB")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real text: the documents of this project."""
    folder = tmp_path_factory.mktemp("texts")
    for path in (ROOT / "docs").glob("*.md"):
        (folder / f"{path.stem}.txt").write_bytes(path.read_bytes())
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, texts: Path) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("batches") / "home"
    home.mkdir()
    with running_service(home, allow=[texts]) as service:
        yield service


def dli(service: Service, *words: str, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DLI, *words],
        env=service.environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def batch(service: Service, program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return dli(service, "batch", "submit", str(program), "--follow", *words)


def job_of(service: Service, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = re.search(r"bat_\w+", done.stderr)
    assert found, done.stderr
    with service.client() as client:
        return client.job(found[0])


def program(folder: Path, text: str, name: str = "app.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_words_are_counted(service: Service, texts: Path) -> None:
    done = batch(service, WORD_COUNT, *SMALLEST, "--", str(texts))
    assert done.returncode == 0, done.stderr
    words: Counter[str] = Counter()
    for path in texts.iterdir():
        words.update(word for word in re.split("[^a-z]+", path.read_text().lower()) if word)
    expected = sorted(words.items(), key=lambda item: (item[1], item[0]), reverse=True)[:5]
    assert [line.split() for line in done.stdout.splitlines()] == [
        [str(count), word] for word, count in expected
    ]
    job = job_of(service, done)
    totals = job["facts"]["spark"]["totals"]
    assert totals["input_bytes"] == sum(path.stat().st_size for path in texts.iterdir())
    assert job["facts"]["spark"]["complete"]
    assert job["attempts"][0]["peak_memory"] > 200 << 20
    assert job["usage"]["cu_milliseconds"] > 1000
    stages = job["attempts"][0]["facts"]["spark"]["longest"]
    assert all("/" not in stage["name"] for stage in stages), "no paths of this machine"


def test_a_failing_program_tells_its_traceback(service: Service, tmp_path: Path) -> None:
    text = "def check(x):\n    raise ValueError(f'row {x} is bad')\n\nprint('begun')\ncheck(7)\n"
    done = batch(service, program(tmp_path, text), *SMALLEST)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stdout
    assert 'app.py", line 2, in check' in done.stdout
    job = job_of(service, done)
    assert job["error"]["code"] == "program_failed"
    assert job["error"]["message"] == (
        "the program ended with exit code 1: ValueError: row 7 is bad"
    )
    assert len(job["attempts"]) == 1, "the program would fail alike"


def test_a_program_may_be_a_client_of_a_warm_engine(service: Service, tmp_path: Path) -> None:
    text = (
        "import sys\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print(type(spark).__module__, spark.range(1000).selectExpr('sum(id)').collect())\n"
        "print(spark.conf.get('spark.sql.shuffle.partitions'))\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    path = program(tmp_path, text)
    for code in (0, 3):
        done = batch(
            service, path, "--connect", "--conf", "spark.sql.shuffle.partitions=7", "--", str(code)
        )
        assert done.returncode == (1 if code else 0), done.stdout + done.stderr
        assert "pyspark.sql.connect.session [Row(sum(id)=499500)]\n7\n" in done.stdout
        job = job_of(service, done)
        assert job["attempts"][0]["exit_code"] == code
    assert job["error"]["message"] == "the program ended with exit code 3"


@pytest.mark.slow
def test_a_sql_script_reads_tables_of_the_catalog(service: Service, tmp_path: Path) -> None:
    rows = "SELECT id, id % 3 AS part FROM range(100)"
    assert dli(service, "database", "create", "sales").returncode == 0
    made = dli(service, "sql", f"CREATE TABLE sales.orders AS {rows}")
    assert made.returncode == 0, made.stderr
    text = (
        "-- how many\n"
        "CREATE TEMPORARY VIEW some AS SELECT * FROM orders WHERE part = :part;\n"
        "SELECT count(*) AS n, sum(id) AS total FROM some;\n"
    )
    script = str(program(tmp_path, text, "nightly.sql"))
    words = ("batch", "submit", "--sql", script, "--table", "sales.orders", *SMALLEST, "--follow")
    done = dli(service, *words, "--", "part=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "n\ttotal\n33\t1617\n" in done.stdout
    broken = str(program(tmp_path, f"{text}SELECT absent FROM orders", "broken.sql"))
    done = dli(service, "batch", "submit", "--sql", broken, *words[4:], "--", "part=1")
    assert done.returncode == 1
    message = job_of(service, done)["error"]["message"]
    assert "statement 3 at line 4: [UNRESOLVED_COLUMN" in message


@pytest.mark.slow
def test_what_ran_out_of_memory_gets_the_next_size(service: Service, tmp_path: Path) -> None:
    text = (
        "from pyspark.sql import SparkSession\n"
        "context = SparkSession.builder.getOrCreate().sparkContext\n"
        "held = [context._gateway.new_array(context._jvm.long, 1 << 24) for _ in range(8)]\n"
        "print('held', len(held))\n"
    )
    done = batch(service, program(tmp_path, text), *SMALLEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "held 8" in done.stdout
    job = job_of(service, done)
    assert job["facts"]["sizes"] == ["1 core, 1.5 GiB", "small"]
    assert [each["exit_code"] for each in job["attempts"]] == [3, 0]
    assert [each["facts"]["end"] for each in job["attempts"]] == ["out_of_memory", "done"]
    story = dli(service, "job", "explain", job["id"]).stdout
    assert "out of memory" in story


@pytest.mark.slow
def test_a_stubborn_program_is_gone_when_cancelled(starter: Starter, tmp_path: Path) -> None:
    """It ignores SIGTERM, and so do its children, one of which fled by a double fork."""
    service = starter(tmp_path / "home")
    service.await_ready()
    text = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "loop = 'import signal, time\\n'\n"
        "loop += 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n'\n"
        "loop += 'while True: time.sleep(0.1)'\n"
        "subprocess.Popen([sys.executable, '-c', loop])\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    subprocess.Popen([sys.executable, '-c', loop])\n"
        "    os._exit(0)\n"
        "print('stuck', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    path = program(tmp_path, text)
    with service.client() as client:
        job = client.submit_batch(path, driver={"cores": 1, "memory": 1536 << 20})

        def stuck() -> bool:
            with client.log(job["id"]) as pieces:
                return b"stuck" in b"".join(pieces)

        assert await_that(stuck, seconds=120, every=0.5)
        run = client.job(job["id"])["attempts"][0]["run"]
        living = [each for each in of_home(service.home) if _of_run(each, run)]
        assert len(living) >= 4, "java, python, a child and one that fled"
        ended = client.wait_job(client.cancel_job(job["id"]))
        assert ended["state"] == "cancelled"
        assert [each for each in living if each.is_running() and not _dead(each)] == []


@pytest.mark.slow
def test_a_driver_outlives_the_service_that_started_it(starter: Starter, tmp_path: Path) -> None:
    text = (
        "import time\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print('begun', spark.range(10).count(), flush=True)\n"
        "time.sleep(15)\n"
        "print('ended', spark.range(20).count(), flush=True)\n"
    )
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        job = client.submit_batch(
            program(tmp_path, text), driver={"cores": 1, "memory": 1536 << 20}
        )

        def begun() -> bool:
            with client.log(job["id"]) as pieces:
                return b"begun" in b"".join(pieces)

        assert await_that(begun, seconds=120, every=0.5)
    service.kill()
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        ended = client.wait_job(client.job(job["id"]))
        assert ended["state"] == "finished", ended["error"]
        assert [each["exit_code"] for each in ended["attempts"]] == [0]
        assert "adopted" in [each["event"] for each in ended["history"]]
        assert ended["facts"]["spark"]["jobs"] == 2
        with client.log(job["id"]) as pieces:
            assert b"".join(pieces).splitlines() == [b"begun 10", b"ended 20"]


@pytest.mark.slow
def test_a_cancelled_client_leaves_its_engine_quiet(service: Service, tmp_path: Path) -> None:
    text = (
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print('at work', flush=True)\n"
        "numbers = spark.range(200000).crossJoin(spark.range(200000).toDF('b'))\n"
        "print(numbers.where('(id * 31 + b * 17) % 1000003 = 5').count())\n"
    )
    with service.client() as client:
        job = client.submit_batch(program(tmp_path, text), session="connect")

        def computes() -> bool:
            with client.log(job["id"]) as pieces:
                begun = b"at work" in b"".join(pieces)
            return begun and load_of(_engines(service), 0.5) > 0.5

        assert await_that(computes, seconds=120, every=0.5)
        ended = client.wait_job(client.cancel_job(job["id"]))
        assert ended["state"] == "cancelled"
        left = [
            each for each in of_home(service.home) if _of_run(each, ended["attempts"][0]["run"])
        ]
        assert left == []
        assert await_that(lambda: load_of(_engines(service)) < 0.3, seconds=30)
        again = client.wait_job(
            client.submit_batch(ROOT / "docs/examples/warm.py", session="connect")
        )
        assert again["state"] == "finished"


def test_an_estimate_says_what_is_known(service: Service, tmp_path: Path) -> None:
    path = program(tmp_path, "print(1)\n")
    done = dli(service, "batch", "submit", str(path), "--estimate", "--json", "--size", "large")
    told = json.loads(done.stdout)
    assert (told["size"]["name"], told["price"]) == ("large", None)


def test_what_the_command_line_cannot_mean_is_usage(service: Service, tmp_path: Path) -> None:
    path = str(program(tmp_path, "print(1)\n"))
    for words in ((), ("absent.py",), (path, "--cores", "1"), (path, "--conf", "novalue")):
        done = dli(service, "batch", "submit", *words)
        assert done.returncode == 2, done.stdout


@pytest.mark.slow
def test_the_guide_prints_what_is_written(tmp_path: Path) -> None:
    written = steps_of((ROOT / "docs" / "batches.md").read_text(encoding="utf-8"))
    assert len(written) == 6
    for step, played in zip(
        written, play([step.command for step in written], tmp_path), strict=True
    ):
        assert comparable(played.output) == comparable(step.output), (
            f"{step.command}\n{played.output}\nrun: python -m benchmarks.tour docs/batches.md"
        )


def _engines(service: Service) -> list[psutil.Process]:
    return [each for each in service.children() if "java" in " ".join(_words(each))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _of_run(process: psutil.Process, run: str) -> bool:
    try:
        return process.environ().get("DLI_RUN_ID") == run
    except psutil.Error:
        return False


def _dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with two main classes, made by the Scala compiler that Spark brings along."""
    folder = tmp_path_factory.mktemp("jar")
    source, made = folder / "Program.scala", folder / "program.jar"
    source.write_text(JAR_PROGRAM)
    classes = os.pathsep.join(str(jar) for jar in spark_jars())
    compiler = ["-cp", classes, "scala.tools.nsc.Main", "-usejavacp", "-d", str(made), str(source)]
    done = subprocess.run(
        [str(find_java(None).program), *compiler],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return made


JAR_PROGRAM = """
package shop

import org.apache.spark.sql.SparkSession

object Counts {
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    val sum = spark.range(args(0).toLong).selectExpr("sum(id)").first().getLong(0)
    println(s"counted $sum ${spark.conf.get("spark.sql.shuffle.partitions")}")
    spark.stop()
  }
}

object Fails {
  def main(args: Array[String]): Unit = throw new IllegalStateException("no orders")
}
"""


def test_a_jar_runs_the_class_that_is_named(service: Service, jar: Path) -> None:
    conf = ("--conf", "spark.sql.shuffle.partitions=3")
    done = batch(service, jar, "--class", "shop.Counts", *SMALLEST, *conf, "--", "1000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["counted 499500 3"]
    job = job_of(service, done)
    assert job["facts"]["spark"]["complete"]


@pytest.mark.parametrize(
    ("name", "told"), [("shop.Fails", "no orders"), ("shop.Absent", "shop.Absent")]
)
def test_a_jar_that_fails_says_why(service: Service, jar: Path, name: str, told: str) -> None:
    done = batch(service, jar, "--class", name, *SMALLEST)
    assert done.returncode == 1
    error = job_of(service, done)["error"]
    assert (error["code"], told in error["message"]) == ("program_failed", True), error


def test_what_a_batch_left_is_used_by_later_nodes(service: Service, tmp_path: Path) -> None:
    text = (
        "from pathlib import Path\n"
        "from dli_batch import session, tell\n"
        "count = session().range(41).count() + 1\n"
        "Path('out').mkdir()\n"
        "Path('out/report.csv').write_text('n\\n42\\n')\n"
        "tell(value=count, rows=41, uris={'lake': 's3://lake/report'})\n"
    )
    with service.client() as client:
        sha256 = client.upload(program(tmp_path, text))["sha256"]
        nodes = {
            "count": {
                "kind": "batch",
                "program": {"name": "app.py", "sha256": sha256},
                "session": "connect",
                "outputs": ["out/*.csv"],
            },
            "use": {
                "sql": "SELECT :n AS n, :rows AS counted, :lake AS lake",
                "parameters": {
                    "n": {"ref": "nodes.count.result.value"},
                    "rows": {"ref": "nodes.count.result.rows"},
                    "lake": {"ref": "nodes.count.output.uri", "file": "lake"},
                },
            },
            "copy": {
                "kind": "batch",
                "program": {"name": "app.py", "sha256": client.upload(_echo(tmp_path))["sha256"]},
                "session": "connect",
                "files": [{"ref": "nodes.count.output.uri", "file": "out/report.csv"}],
            },
        }
        client.pipelines.apply("left", {"nodes": nodes})
        run = client.wait_job(client.pipelines.run("left"))
        assert run["state"] == "finished", run["error"]
        told = {node["name"]: node for node in client.pipelines.run_status(run["id"])["nodes"]}
        assert told["count"]["outputs"]["value"] == {"type": "bigint", "value": 42}
        used = client.job(told["use"]["job"])
        assert used["result"]["inline"] == [[42, 41, "s3://lake/report"]]
        done = dli(service, "job", "logs", told["copy"]["job"])
        assert done.stdout == "report.csv 42\n"
        left = dli(service, "batch", "output", told["count"]["job"], "out/report.csv")
        assert left.stdout == "n\n42\n"


def _echo(folder: Path) -> Path:
    text = (
        "from pathlib import Path\nprint('report.csv', Path('report.csv').read_text().split()[1])\n"
    )
    return program(folder, text, name="echo.py")
