"""What all commands share: where the service is, and the two streams that people read."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Self

import typer

from dli.remote.access import Access, resolve

if TYPE_CHECKING:
    from rich.console import Console

    from dli.client import Client

#: Wide enough that nothing which goes to a file or a pipe is ever cut or wrapped.
_NO_TERMINAL_WIDTH = 1_000_000


class UsageError(Exception):
    """The command line asks for something that cannot be; exit code 2."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """The choices made before the command's own, and where to print."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    project: str | None = None
    quiet: bool = False
    #: What is closed when the command has ended.
    _closing: ExitStack = field(default_factory=ExitStack, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    @cached_property
    def out(self) -> Console:
        """Standard output, for what was asked for."""
        return console(error=False)

    @cached_property
    def err(self) -> Console:
        """Standard error, for all else."""
        return console(error=True)

    @cached_property
    def access(self) -> Access:
        """Address and token by the order of ``dli.remote.access``."""
        return resolve(os.environ, url=self.url, token=self.token, project=self.project)

    @cached_property
    def client(self) -> Client:
        """The service, one client for the whole command; nothing is sent yet."""
        return self.new_client(patient=True)

    def new_client(self, *, patient: bool) -> Client:
        """One of another temper: without patience nothing is asked again."""
        from dli.client import Client  # noqa: PLC0415  HTTP is half of what a command loads

        access = self.access
        client = Client(access.url, access.token, project=access.project, patient=patient)
        return self._closing.enter_context(client)

    def say(self, text: str) -> None:
        """A word for people, on the error stream, so that data stays alone on the other."""
        if not self.quiet:
            self.err.print(text, markup=False, highlight=False, soft_wrap=True)


def console(*, error: bool) -> Console:
    """Standard output or error; colour and width only where a terminal is."""
    from rich.console import Console  # noqa: PLC0415  `dli up` prints nothing by it

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _NO_TERMINAL_WIDTH
    return Console(stderr=error, width=width, highlight=False)


def session_of(context: typer.Context) -> Session:
    """The session that the root command made."""
    session = context.obj
    assert isinstance(session, Session)
    return session


JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print the API's own JSON instead of a table.")
]
