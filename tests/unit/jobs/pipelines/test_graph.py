"""Edges that are said and edges that follow from SQL; cycles and races are refused."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pipelines.errors import PipelineInvalidError
from jobs.pipelines.graph import Graph
from tests.support.pipelines import FULL, make_graph, make_pipeline, statement


def told(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.before, edge.after, edge.reason) for edge in graph.edges}


def refusal(nodes: dict[str, Any]) -> str:
    with pytest.raises(PipelineInvalidError) as caught:
        make_graph(nodes)
    return f"{caught.value.message} | {caught.value.hint}"


def test_a_reader_runs_after_the_writer() -> None:
    graph = make_graph(
        {
            "a_report": statement("SELECT * FROM default.day JOIN other.t USING (id)"),
            "load": statement("CREATE TABLE day AS SELECT * FROM raw"),
            "more": statement("INSERT INTO day SELECT * FROM raw"),
        }
    )
    assert told(graph) == {
        ("load", "a_report", "reads default.day"),
        ("more", "a_report", "reads default.day"),
        ("load", "more", "writes to default.day"),
    }
    assert all(edge.inferred for edge in graph.edges)
    assert graph.order == ("load", "more", "a_report")


def test_views_of_the_pipeline_are_written_too() -> None:
    graph = make_graph(
        {
            "c": statement("SELECT * FROM v"),
            "b": statement("CREATE OR REPLACE VIEW v AS SELECT * FROM t"),
            "a": statement("CREATE TABLE t AS SELECT 1 AS x"),
        }
    )
    assert graph.order == ("a", "b", "c")


def test_the_database_of_a_node_names_its_tables() -> None:
    graph = make_graph(
        {
            "a": statement("CREATE TABLE t AS SELECT 1 AS x", database="sales"),
            "b": statement("SELECT * FROM t"),
            "c": statement("SELECT * FROM sales.T"),
        }
    )
    assert told(graph) == {("a", "c", "reads sales.t")}


def test_references_conditions_and_handlers_are_edges() -> None:
    nodes = FULL["nodes"]
    graph = make_graph(nodes, parameters=FULL["parameters"])
    assert told(graph) == {
        ("load", "count", "reads sales.day"),
        ("load", "export", "needs"),
        ("count", "export", "when"),
        ("load", "tell", "on_failure"),
    }


def test_what_is_said_beats_what_follows() -> None:
    """The reader is to see the old rows: it was put before the writer."""
    graph = make_graph(
        {
            "keep": statement("CREATE TABLE old AS SELECT * FROM t"),
            "write": statement("INSERT OVERWRITE t SELECT 1", needs=["keep"]),
        }
    )
    assert told(graph) == {("keep", "write", "needs")}


def test_a_node_that_reads_what_it_writes_is_no_cycle() -> None:
    assert make_graph({"a": statement("INSERT OVERWRITE t SELECT * FROM t")}).edges == ()


def test_scripts_of_batches_count() -> None:
    script = "CREATE TABLE t AS SELECT 1 AS x; SET spark.x = 1; INSERT INTO u SELECT * FROM t"
    graph = make_graph({"a": {"kind": "batch", "sql": script}, "b": statement("SELECT * FROM u")})
    assert told(graph) == {("a", "b", "reads default.u")}


def test_a_cycle_is_told_with_its_way() -> None:
    message = refusal(
        {
            "a": statement("INSERT INTO t SELECT * FROM u"),
            "b": statement("INSERT INTO u SELECT * FROM t"),
        }
    )
    assert "in a circle" in message
    assert "(reads default." in message
    assert "needs" in message
    said = refusal({"a": statement(needs=["b"]), "b": statement(needs=["a"])})
    assert "(needs)" in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("CREATE TABLE t AS SELECT 1 AS x", "CREATE OR REPLACE TABLE t AS SELECT 2 AS x"),
        ("DROP TABLE IF EXISTS t", "CREATE TABLE t AS SELECT 1 AS x"),
        ("DROP TABLE t", "SELECT * FROM t"),
        ("INSERT OVERWRITE t SELECT 1", "INSERT INTO t SELECT 1"),
    ],
)
def test_an_order_that_matters_must_be_said(first: str, second: str) -> None:
    assert "in no order" in refusal({"a": statement(first), "b": statement(second)})
    make_graph({"a": statement(first), "b": statement(second, needs=["a"])})


def test_appends_need_no_order() -> None:
    sql = "INSERT INTO t SELECT 1"
    assert make_graph({"a": statement(sql), "b": statement(sql)}).edges == ()


def test_sql_that_cannot_be_read_is_told_by_its_node() -> None:
    message = refusal({"a": statement("SELEC 1"), "b": statement("SELECT 1\nFROM WHERE")})
    assert "nodes.a.sql" in message
    assert "nodes.b.sql" in message
    assert "line 2" in message
    assert "did you mean SELECT?" in message


NAMES = [f"n{index}" for index in range(8)]
EDGES = st.sets(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda e: e[0] != e[1]),
    max_size=16,
)


@given(EDGES)
def test_the_order_keeps_every_edge_and_cycles_are_found(edges: set[tuple[str, str]]) -> None:
    nodes = {
        name: statement(needs=[before for before, after in edges if after == name])
        for name in NAMES
    }
    reference = TopologicalSorter({name: nodes[name]["needs"] for name in NAMES})
    try:
        reference.prepare()
    except CycleError:
        with pytest.raises(PipelineInvalidError, match="in a circle"):
            make_graph(nodes)
        return
    order = make_graph(nodes).order
    assert sorted(order) == NAMES
    assert all(order.index(before) < order.index(after) for before, after in edges)


WRITES = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.sampled_from("tuv"), st.sampled_from("tuvw")), min_size=1
)


@given(WRITES)
def test_whoever_reads_a_table_comes_after_all_that_write_it(
    flow: dict[str, tuple[str, str]],
) -> None:
    nodes = {
        name: statement(f"INSERT INTO {target} SELECT * FROM {source}")
        for name, (target, source) in flow.items()
    }
    try:
        order = make_graph(nodes).order
    except PipelineInvalidError:
        return
    for writer, (target, _) in flow.items():
        for reader, (_, source) in flow.items():
            if target == source and writer != reader:
                assert order.index(writer) < order.index(reader)


def test_equal_pipelines_have_equal_graphs() -> None:
    nodes = FULL["nodes"]
    backwards = dict(reversed(nodes.items()))
    parameters = FULL["parameters"]
    assert make_graph(nodes, parameters=parameters) == make_graph(backwards, parameters=parameters)
    assert make_pipeline(nodes, parameters=parameters).nodes.keys() == nodes.keys()
