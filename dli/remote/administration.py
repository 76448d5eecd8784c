"""Projects, people, tokens, money and health, over REST; the JSON is that of the API."""

from __future__ import annotations

from typing import cast

from dli.remote.calls import Calls, Json, present


class AdministrationCalls(Calls):
    """Of ``Client``."""

    def tokens(self) -> list[Json]:
        return list(self._pages("/tokens", {}))

    def create_token(self, **fields: object) -> Json:
        """A new token; its text is in this answer and nowhere else, ever again.

        Asked once only: a repeat would give the token without its text.
        """
        return self._json("POST", "/tokens", body=present(fields))

    def revoke_token(self, token_id: str) -> None:
        self._ask("DELETE", f"/tokens/{token_id}")

    def projects(self) -> list[Json]:
        return list(self._pages("/projects", {}))

    def create_project(self, name: str, **fields: object) -> Json:
        return self._create("/projects", {"name": name, **present(fields)})

    def budget(self) -> Json:
        """Cap of the month, what is spent and what is set aside for running statements."""
        return self._json("GET", "/budget")

    def set_budget(self, amount: str | None, *, month: str = "every") -> Json:
        """Set the cap of a month (``2026-11``), or of each that has none; None lifts it."""
        return self._json("PUT", "/budget", body={"amount": amount, "month": month})

    def prices(self) -> Json:
        return self._json("GET", "/prices")

    def health(self) -> Json:
        """Whether the service is ready, part by part; needs no token."""
        return cast(Json, self._transport.ask("GET", "/readyz").body)

    def members(self, project: str) -> list[Json]:
        """Who has which role in a project."""
        return list(self._pages(f"/projects/{project}/members", {}, headers=_in(project)))

    def set_member(self, project: str, user: str, role: str) -> Json:
        """Give a user a role in a project; a name that is new makes a new user."""
        path = f"/projects/{project}/members/{user}"
        return self._json("PUT", path, body={"role": role}, headers=_in(project))

    def remove_member(self, project: str, user: str) -> None:
        """Take a user's role away; their tokens open the project no longer."""
        self._ask("DELETE", f"/projects/{project}/members/{user}", headers=_in(project))

    def credentials(self, project: str) -> Json:
        """The names of the project's credentials for the object store."""
        return self._json("GET", f"/projects/{project}/credentials", headers=_in(project))

    def set_credentials(
        self, project: str, *, secret: Json | None = None, service_account: str | None = None
    ) -> Json:
        """Name them: ``secret`` has ``name`` and, where they are others, the names of its keys."""
        body = {"secret": secret, "service_account": service_account}
        path = f"/projects/{project}/credentials"
        return self._json("PUT", path, body=body, headers=_in(project))

    def remove_credentials(self, project: str) -> None:
        """The project has none of its own any more."""
        self._ask("DELETE", f"/projects/{project}/credentials", headers=_in(project))


def _in(project: str) -> dict[str, str]:
    return {"DLI-Project": project}
