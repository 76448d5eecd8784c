"""Types of columns: Spark's DDL text, such as ``array<decimal(10,2)>``, and Arrow's types.

The canonical text is lower case without spaces, with Spark's own names (``int``, not ``integer``);
``char`` and ``varchar`` are ``string``. Timestamps have microseconds: ``timestamp`` is a moment
(zone UTC in Arrow), ``timestamp_ntz`` has no zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pyarrow as pa

from storage.catalog.errors import UnknownTypeError
from storage.catalog.names import did_you_mean, similar

TIMESTAMP = pa.timestamp("us", tz="UTC")
TIMESTAMP_NTZ = pa.timestamp("us")
_DEEPEST = 32  # levels of nesting; more is a mistake or an attack

_SIMPLE: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "timestamp_ntz": TIMESTAMP_NTZ,
    "void": pa.null(),
}
_SYNONYMS = {
    "bool": "boolean", "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint",
    "real": "float", "timestamp_ltz": "timestamp", "dec": "decimal", "numeric": "decimal",
    "char": "varchar", "character": "varchar",
}  # fmt: skip
_TEXTS = {kind: text for text, kind in _SIMPLE.items()} | {
    # What files hold and Spark has no type for, read as the next wider one.
    pa.uint8(): "smallint",
    pa.uint16(): "int",
    pa.uint32(): "bigint",
    pa.uint64(): "decimal(20,0)",
    pa.float16(): "float",
    pa.date64(): "date",
    pa.large_string(): "string",
    pa.string_view(): "string",
    pa.large_binary(): "binary",
    pa.binary_view(): "binary",
    pa.month_day_nano_interval(): "interval month to second",
}
_WORDS = (*_SIMPLE, *_SYNONYMS, "decimal", "varchar", "array", "map", "struct")
_TOKEN = re.compile(r"\s*(?:(`(?:[^`]|``)+`)|('(?:[^'\\]|\\.)*')|([\w]+)|([<>(),:]))")


def parse_type(text: str) -> pa.DataType:
    """The Arrow type of a Spark DDL type; raises ``UnknownTypeError``."""
    parser = _Parser(text)
    kind = parser.type(1)
    parser.end()
    return kind


def normal_type(text: str) -> str:
    """The canonical text of a type that a table's column may have; ``UnknownTypeError`` else."""
    kind = parse_type(text)
    _refuse_void(kind, text)
    return type_text(kind)


def type_text(kind: pa.DataType) -> str:
    """The canonical Spark DDL text of an Arrow type.

    Unsigned integers, dictionaries, large and view types become what Spark has for their values.
    Raises ``UnknownTypeError`` for types without a counterpart: times of day, nanoseconds.
    """
    if (text := _TEXTS.get(kind)) is not None:
        return text
    if pa.types.is_decimal(kind) and kind.precision <= 38 and kind.scale >= 0:
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.unit != "ns":
        return "timestamp" if kind.tz else "timestamp_ntz"
    if pa.types.is_fixed_size_binary(kind):
        return "binary"
    if pa.types.is_dictionary(kind):
        return type_text(kind.value_type)
    if is_list(kind):
        return f"array<{type_text(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{type_text(kind.key_type)},{type_text(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{_quoted(f.name)}:{type_text(f.type)}' for f in kind)}>"
    if isinstance(kind, pa.BaseExtensionType):
        return type_text(kind.storage_type)
    if pa.types.is_duration(kind):
        return "interval day to second"
    raise UnknownTypeError(
        f"no column can have the type {kind}",
        hint="store nanoseconds as microseconds and times of day as strings",
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether ``kind`` is one of Arrow's many list types."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else "`" + name.replace("`", "``") + "`"


def _refuse_void(kind: pa.DataType, text: str) -> None:
    def kinds(one: pa.DataType) -> Iterator[pa.DataType]:
        yield one
        for number in range(one.num_fields):
            yield from kinds(one.field(number).type)

    if any(pa.types.is_null(one) for one in kinds(kind)):
        raise UnknownTypeError(f"no column can have the type {text.lower()}")


class _Parser:
    """A recursive descent over the tokens of one type."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None or len(self._tokens) > 100_000:
                raise self._refusal()
            self._tokens.append(match[0].strip())
            place = match.end()
        self._tokens.reverse()

    def type(self, depth: int) -> pa.DataType:
        if depth > _DEEPEST:
            raise UnknownTypeError(f"a type is nested more than {_DEEPEST} levels deep")
        word = self._next().lower()
        word = _SYNONYMS.get(word, word)
        if (simple := _SIMPLE.get(word)) is not None:
            return simple
        compound = _COMPOUND.get(word)
        if compound is None:
            raise UnknownTypeError(
                f"there is no type {word!r}",
                hint=did_you_mean(similar(word, _WORDS), "write it as in CREATE TABLE of Spark"),
            )
        return compound(self, depth + 1)

    def end(self) -> None:
        if self._tokens:
            raise self._refusal()

    def decimal(self, _depth: int) -> pa.DataType:
        precision, scale = 10, 0
        if self._skip("("):
            precision = self._number()
            scale = self._number() if self._skip(",") else 0
            self._expect(")")
        if not (1 <= precision <= 38 and scale <= precision):
            raise UnknownTypeError(
                f"decimal({precision},{scale}) is out of range",
                hint="precision is 1 to 38, scale 0 to the precision",
            )
        return pa.decimal128(precision, scale)

    def text(self, _depth: int) -> pa.DataType:
        if self._skip("("):
            self._number()
            self._expect(")")
        return pa.string()

    def array(self, depth: int) -> pa.DataType:
        self._expect("<")
        element = self.type(depth)
        self._expect(">")
        return pa.list_(pa.field("element", element))

    def map(self, depth: int) -> pa.DataType:
        self._expect("<")
        key = self.type(depth)
        self._expect(",")
        value = self.type(depth)
        self._expect(">")
        return pa.map_(key, value)

    def struct(self, depth: int) -> pa.DataType:
        self._expect("<")
        fields: list[pa.Field] = []
        while not (fields == [] and self._peek() == ">"):
            name = self._next()
            if name.startswith("`"):
                name = name[1:-1].replace("``", "`")
            self._skip(":")
            fields.append(self._qualified(name, self.type(depth)))
            if not self._skip(","):
                break
        self._expect(">")
        lowered = [field.name.lower() for field in fields]
        if len(set(lowered)) < len(lowered):
            raise UnknownTypeError("a struct has two fields of the same name")
        return pa.struct(fields)

    def _qualified(self, name: str, kind: pa.DataType) -> pa.Field:
        """A field with its ``NOT NULL`` and ``COMMENT``, which the catalog does not keep."""
        if self._skip("not") and not self._skip("null"):
            raise self._refusal()
        if self._skip("comment"):
            self._next()
        return pa.field(name, kind)

    def _peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _next(self) -> str:
        if not self._tokens:
            raise self._refusal()
        return self._tokens.pop()

    def _skip(self, token: str) -> bool:
        if self._peek().lower() == token:
            self._tokens.pop()
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._skip(token):
            raise self._refusal()

    def _number(self) -> int:
        token = self._next()
        if not token.isdecimal() or len(token) > 9:
            raise self._refusal()
        return int(token)

    def _refusal(self) -> UnknownTypeError:
        return UnknownTypeError(
            f"the type {self._text[:200]!r} cannot be read",
            hint="write it as in CREATE TABLE of Spark, such as array<decimal(10,2)>",
        )


_COMPOUND: dict[str, Callable[[_Parser, int], pa.DataType]] = {
    "decimal": _Parser.decimal,
    "varchar": _Parser.text,
    "array": _Parser.array,
    "map": _Parser.map,
    "struct": _Parser.struct,
}
