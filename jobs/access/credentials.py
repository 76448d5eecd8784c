"""Who the runs of a project are at the object store, if not the service itself.

Only names are kept: of a Secret in the namespace of runs, whose values the node puts into pods, or
of a service account that the cluster gives an identity of its own (web identity). Of no meaning
where runs are processes of the service's machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.base.errors import InvalidInputError, NotFoundError, RefusedError
from storage.base.ids import ProjectId

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # a DNS subdomain
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")


class CredentialsInvalidError(InvalidInputError):
    """Names of credentials that cannot be; ``field`` in the details names the one."""

    code = "credentials_invalid"


class NoCredentialsError(NotFoundError):
    """The project has no credentials of its own."""

    code = "credentials_not_found"


class CredentialsMissingError(RefusedError):
    """The project has no credentials of its own, and may not use those of the service."""

    code = "credentials_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeys:
    """A Secret of the cluster, and which of its keys are what."""

    name: str
    access_key: str = "access-key"
    secret_key: str = "secret-key"  # noqa: S105  the name of a key

    @property
    def variables(self) -> Mapping[str, str]:
        """The keys by the names of the variables that runs read them from."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Static keys, or without a ``secret`` the identity of ``service_account``; or both: then the
    keys are for the object store, and the account for whatever else the cluster gives it."""

    secret: SecretKeys | None = None
    service_account: str | None = None


#: Of a project now; None: the service's own. Raises ``CredentialsMissingError``.
Access = Callable[[ProjectId], Credentials | None]


def shared(project_id: ProjectId) -> Credentials | None:
    """Of projects that all use the service's own."""
    return None


def checked(credentials: Credentials) -> Credentials:
    """``credentials`` itself. Raises ``CredentialsInvalidError``."""
    secret, account = credentials.secret, credentials.service_account
    if secret is None and account is None:
        raise CredentialsInvalidError(
            "neither a secret nor a service account is named",
            hint="name one of them, or remove the credentials",
            field="secret",
        )
    if secret is not None:
        _check("secret.name", secret.name, _NAME)
        _check("secret.access_key", secret.access_key, _KEY)
        _check("secret.secret_key", secret.secret_key, _KEY)
    if account is not None:
        _check("service_account", account, _NAME)
    return credentials


def _check(field: str, text: str, form: re.Pattern[str]) -> None:
    if form.fullmatch(text) is None:
        raise CredentialsInvalidError(
            f"{field} is no name that Kubernetes knows",
            hint="give names of objects and keys, never their values",
            field=field,
        )
