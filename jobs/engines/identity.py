"""What a pod is given so that its run is its project at the object store, not the service. Pure.

Values are in no manifest, argument or order: nodes put them into the pod's environment, from a
Secret or by a service account's identity, and the porter hands them on by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jobs.access.credentials import Credentials
from jobs.launchers.api import PodOptions, SecretKey

#: What clusters put into the pods of a service account that has an identity at Amazon's services:
#: by a webhook for IAM roles (the first four), or by EKS Pod Identity.
_WEB = (
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_SESSION_NAME",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)


def variables_of(credentials: Credentials | None) -> Mapping[str, SecretKey]:
    """The variables that are references to the project's Secret."""
    secret = None if credentials is None else credentials.secret
    if secret is None:
        return {}
    return {name: SecretKey(secret.name, key) for name, key in secret.variables.items()}


def account_of(credentials: Credentials | None) -> str | None:
    """The service account of its pods, if it has one."""
    return None if credentials is None else credentials.service_account


def with_identity(pod: PodOptions, credentials: Credentials | None) -> PodOptions:
    """``pod`` as its project's. Nothing changes for None: the run has the service's own keys."""
    if credentials is None:
        return pod
    return replace(
        pod,
        variables={**pod.variables, **variables_of(credentials)},
        passes=pod.passes if credentials.secret is not None else (*pod.passes, *_WEB),
        service_account=credentials.service_account,
    )
