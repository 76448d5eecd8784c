from __future__ import annotations

import contextlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.catalog.datatypes import normal_type, parse_type, type_text
from storage.catalog.errors import UnknownTypeError

SIMPLE = st.sampled_from(
    ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary",
     "date", "timestamp", "timestamp_ntz", "decimal(38,38)", "decimal(1,0)", "decimal(15,2)"]
)  # fmt: skip
FIELD_NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=5
)


def _structs(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.lists(FIELD_NAMES, max_size=3, unique_by=str.lower)
    return names.flatmap(
        lambda chosen: st.lists(inner, min_size=len(chosen), max_size=len(chosen)).map(
            lambda kinds: "struct<{}>".format(
                ",".join(
                    f"`{name.replace('`', '``')}`:{kind}"
                    for name, kind in zip(chosen, kinds, strict=True)
                )
            )
        )
    )


TYPES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map("array<{}>".format),
        st.tuples(inner, inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>"),
        _structs(inner),
    ),
    max_leaves=6,
)


@given(TYPES)
def test_canonical_text_and_arrow_type_are_each_others_inverse(text: str) -> None:
    kind = parse_type(text)
    canonical = type_text(kind)
    assert parse_type(canonical) == kind
    assert normal_type(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (" INTEGER ", "int"),
        ("Long", "bigint"),
        ("DEC", "decimal(10,0)"),
        ("numeric ( 12 , 2 )", "decimal(12,2)"),
        ("varchar(10)", "string"),
        ("CHAR(3)", "string"),
        ("TIMESTAMP_LTZ", "timestamp"),
        ("array< struct<a INT NOT NULL COMMENT '>',b:int> >", "array<struct<a:int,b:int>>"),
        ("map<string,array<bigint>>", "map<string,array<bigint>>"),
        ("struct<`a b`:int>", "struct<`a b`:int>"),
        ("struct<>", "struct<>"),
    ],
)  # fmt: skip
def test_spellings_of_spark_become_one(written: str, canonical: str) -> None:
    assert normal_type(written) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "int int", "array<int", "array<>", "map<int>", "decimal(39,1)", "decimal(5,6)",
     "decimal(0)", "decimal(x)", "varchar(", "struct<a>", "struct<a:int,A:int>", "void",
     "array<void>", "interval day", "time", "int;", "struct<a:int,>", "decimal(1,2,3)",
     "array<" * 40 + "int" + ">" * 40],
)  # fmt: skip
def test_what_is_no_column_type_is_refused(text: str) -> None:
    with pytest.raises(UnknownTypeError):
        normal_type(text)


def test_a_mistyped_type_gets_a_suggestion() -> None:
    with pytest.raises(UnknownTypeError) as caught:
        normal_type("array<stirng>")
    assert caught.value.hint == "did you mean 'string'?"


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(UnknownTypeError):
        assert type_text(parse_type(text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.uint8(), "smallint"),
        (pa.uint32(), "bigint"),
        (pa.uint64(), "decimal(20,0)"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.timestamp("ms"), "timestamp_ntz"),
        (pa.timestamp("s", "Europe/Paris"), "timestamp"),
        (pa.large_list(pa.int64()), "array<bigint>"),
        (pa.decimal256(38, 4), "decimal(38,4)"),
        (pa.binary(16), "binary"),
        (pa.null(), "void"),
    ],
)
def test_other_arrow_types_become_the_next_of_spark(kind: pa.DataType, text: str) -> None:
    assert type_text(kind) == text


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ns"), pa.time64("us"), pa.decimal256(50, 2), pa.decimal128(5, -2)]
)
def test_arrow_types_without_a_counterpart_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(UnknownTypeError):
        type_text(kind)
