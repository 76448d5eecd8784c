"""Requests and answers about projects, members, tokens, prices, budgets and usage."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dli.api.schemas.fields import Body, MoneyReply, MoneyText, Reply, Span
from dli.identity.principals import Role


class ProjectBody(Body):
    name: str
    description: str | None = Field(None, max_length=500)


class ProjectReply(Reply):
    id: str
    name: str
    description: str | None
    created_at: str
    role: Role | None = Field(description="Of the caller.")


class ProjectsPage(Reply):
    items: list[ProjectReply]
    next_cursor: str | None


class MemberBody(Body):
    role: Role


class MemberReply(Reply):
    user: str
    role: Role


class MembersPage(Reply):
    items: list[MemberReply]
    next_cursor: str | None


class SecretBody(Body):
    """A Secret in the namespace of runs. Names only: values never pass here."""

    name: str = Field(min_length=1, max_length=253, description="Of the Secret.")
    access_key: str = Field(
        "access-key", min_length=1, max_length=253, description="Name of the key of the access key."
    )
    secret_key: str = Field(
        "secret-key", min_length=1, max_length=253, description="Name of the key of the secret key."
    )


class CredentialsBody(Body):
    """Who the engines and batches of the project are at the object store. At least one of both."""

    secret: SecretBody | None = Field(None, description="Static keys.")
    service_account: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="Service account of its pods; without `secret` its own identity (web identity) "
        "is used.",
    )


class SecretReply(Reply):
    name: str
    access_key: str
    secret_key: str


class CredentialsReply(Reply):
    project: str
    secret: SecretReply | None
    service_account: str | None
    in_force: bool = Field(
        description="Whether runs are pods; processes of the service's machine are the service."
    )


class TokenBody(Body):
    name: str = Field(min_length=1, max_length=128, description="What it is for.")
    user: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9._@-]{0,127}$",
        description="Whose; else yours. Admins of the project may name anybody, who then gets "
        "the role in the project if they have none.",
    )  # fmt: skip
    role: Role = Field(Role.READER, description="At most this, whatever the user may do.")
    expires_in: Span | None = Field(None, description="Good for so long; else until revoked.")


class TokenReply(Reply):
    id: str
    name: str
    user: str
    project: str | None = Field(description="null: every project of the user.")
    role: Role
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewTokenReply(TokenReply):
    token: str | None = Field(description="The secret, in this answer and never again.")


class TokensPage(Reply):
    items: list[TokenReply]
    next_cursor: str | None


class PriceReply(Reply):
    """One price of one meter."""

    meter: str
    price_class: str = Field(alias="class")
    price: str
    currency: str
    per: int = Field(description="Base units that `price` is for.")
    unit: str
    minimum: int
    effective_from: str
    in_force: bool


class PricesReply(Reply):
    currency: str
    items: list[PriceReply]
    next_cursor: str | None


class BudgetBody(Body):
    amount: MoneyText | None = Field(description="Most money a month; null lifts the cap.")
    month: str = Field("every", description="`2026-11`, or `every` for months without their own.")


class CapReply(Reply):
    month: str
    amount: str
    currency: str


class BudgetReply(Reply):
    """The month so far. `spent` and `reserved` together never pass `cap`."""

    month: str
    cap: str | None
    spent: str
    reserved: str
    left: str | None
    currency: str
    caps: list[CapReply]


class UsageReport(Reply):
    """Sums by group. Each item has its group's values under the names in `group_by`."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    group_by: list[str]
    items: list[dict[str, Any]]
    total: MoneyReply
    next_cursor: str | None
