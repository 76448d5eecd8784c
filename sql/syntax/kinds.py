"""Which statements are served: an allow-list of first words and of roots of trees."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from sqlglot import exp

from sql.errors import SqlSyntaxError, UnsupportedStatementError
from sql.statement import StatementKind

_WORDS: Final = {
    ("SHOW",): StatementKind.SHOW,
    ("DESCRIBE",): StatementKind.DESCRIBE,
    ("DESC",): StatementKind.DESCRIBE,
    ("CREATE", "DATABASE"): StatementKind.CREATE_DATABASE,
    ("CREATE", "SCHEMA"): StatementKind.CREATE_DATABASE,
    ("DROP", "DATABASE"): StatementKind.DROP_DATABASE,
    ("DROP", "SCHEMA"): StatementKind.DROP_DATABASE,
    ("DROP", "TABLE"): StatementKind.DROP_TABLE,
    ("DROP", "VIEW"): StatementKind.DROP_VIEW,
}

#: What to do instead, for statements that people will try.
INSTEAD: Final = {
    "USE": "name the database in the request, or write database.table",
    "SET": "engines are configured by the queue",
    "TABLE": "write SELECT * FROM the table",
    "MSCK": "partitions of an external table are found by themselves",
    "REFRESH": "files of an external table are looked up by themselves",
    "ANALYZE": "statistics are kept by themselves",
    "MERGE": "write the joined rows with INSERT OVERWRITE",
    "UPDATE": "write the changed rows with INSERT OVERWRITE",
    "DELETE": "write the rows to keep with INSERT OVERWRITE",
    "ALTER": "drop and create the table or view",
    "TRUNCATE": "write INSERT OVERWRITE … SELECT … WHERE false",
    "BEGIN": "send the statements one by one",
}


#: A word behind blanks; where a statement starts there is always one, or none of these words.
WORD: Final = re.compile(r"\s*([A-Za-z_]\w*)")


def first_words(text: str, start: int) -> tuple[str, ...]:
    """Up to two words of ``text`` from ``start`` on, in upper case; fewer where others stand."""
    words: list[str] = []
    while len(words) < 2 and (match := WORD.match(text, start)):
        words.append(match[1].upper())
        start = match.end()
    return tuple(words)


def words_kind(words: tuple[str, ...]) -> StatementKind | None:
    """The kind of a statement that is read from its tokens; None for one that has a tree."""
    return _WORDS.get(words[:1]) or _WORDS.get(words)


#: First words of statements that Spark has, or that people expect, and that are not served.
_REFUSED: Final = frozenset(
    {
        "ADD", "ALTER", "ANALYZE", "ATTACH", "BEGIN", "CACHE", "CALL", "CLEAR", "COMMENT",
        "COMMIT", "COPY", "DECLARE", "DELETE", "DETACH", "EXECUTE", "EXPORT", "GRANT",
        "IMPORT", "KILL", "LIST", "LOAD", "LOCK", "MERGE", "MSCK", "OPTIMIZE", "PRAGMA",
        "REFRESH", "REPAIR", "REPLACE", "RESET", "REVOKE", "ROLLBACK", "SET", "START", "SYNC",
        "TABLE", "TRUNCATE", "UNCACHE", "UNLOCK", "UNSET", "UPDATE", "UPSERT", "USE",
        "VACUUM",
    }
)  # fmt: skip


def refuse_words(words: tuple[str, ...]) -> None:
    """Refuse by its name a statement whose first word tells that it is not served."""
    if words and words[0] in _REFUSED:
        raise _unsupported(words[0])
    if words[:1] == ("DROP",):
        raise _unsupported(" ".join(words))


def kind_of_tree(tree: exp.Expr) -> StatementKind:
    """The kind of a parsed statement. Raises ``UnsupportedStatementError`` for all other roots."""
    match tree:
        case exp.Query() | exp.Values():
            return StatementKind.QUERY
        case exp.Insert():
            overwrite = bool(tree.args.get("overwrite"))
            return StatementKind.INSERT_OVERWRITE if overwrite else StatementKind.INSERT
        case exp.Create():
            return _kind_of_create(tree)
        case exp.MultitableInserts():
            raise _unsupported("INSERT into several tables")
        case exp.Command():
            raise _unsupported(str(tree.this).upper())
        case exp.Column() | exp.Literal() | exp.Alias() | exp.Condition():
            raise SqlSyntaxError(
                "this is an expression, not a statement",
                hint="put SELECT in front of it",
                line=1,
                column=1,
            )
    raise _unsupported(tree.key.upper())


def _kind_of_create(tree: exp.Create) -> StatementKind:
    what = str(tree.args.get("kind") or "").upper()
    if what == "TABLE":
        computed = tree.expression is not None
        return StatementKind.CREATE_TABLE_AS if computed else StatementKind.CREATE_TABLE
    if what == "VIEW":
        return StatementKind.CREATE_VIEW
    raise _unsupported(f"CREATE {what}".strip())


def _unsupported(name: str) -> UnsupportedStatementError:
    hint = INSTEAD.get(name.split()[0])
    return UnsupportedStatementError(f"{name} is not supported yet", hint=hint, statement=name)


def refuse(name: str, hint: str | None = None) -> NoReturn:
    """Refuse a part of a statement by its name."""
    raise UnsupportedStatementError(f"{name} is not supported yet", hint=hint, statement=name)
