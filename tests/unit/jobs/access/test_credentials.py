from __future__ import annotations

import pytest

from jobs.access.credentials import Credentials, CredentialsInvalidError, SecretKeys, checked

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Credentials(), "secret"),
        (Credentials(secret=SecretKeys(name="Sales")), "secret.name"),
        (Credentials(secret=SecretKeys(name="sales", access_key="a key")), "secret.access_key"),
        (Credentials(secret=SecretKeys(name="sales", secret_key="")), "secret.secret_key"),
        (Credentials(service_account="../default"), "service_account"),
    ],
)
def test_what_cannot_be_a_name_is_refused(given: Credentials, field: str) -> None:
    with pytest.raises(CredentialsInvalidError) as caught:
        checked(given)
    assert caught.value.details == {"field": field}


def test_a_value_in_place_of_a_name_is_not_repeated() -> None:
    with pytest.raises(CredentialsInvalidError) as caught:
        checked(Credentials(secret=SecretKeys(name=ACCESS, secret_key=SECRET)))
    assert ACCESS not in f"{caught.value} {caught.value.hint} {caught.value.details}"


def test_a_secret_an_account_or_both_will_do() -> None:
    for given in (
        Credentials(secret=SecretKeys(name="sales-s3.v2")),
        Credentials(service_account="sales"),
        Credentials(secret=SecretKeys(name="s", access_key="A_KEY"), service_account="sales"),
    ):
        assert checked(given) is given
