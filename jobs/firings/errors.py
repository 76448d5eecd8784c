"""What can be wrong with what is to be submitted by itself."""

from __future__ import annotations

from storage.base.errors import BrokenError, ForbiddenError, InvalidInputError, RefusedError


class AuthorRightsError(ForbiddenError):
    """The one in whose name a job was to run has no role in the project any more."""

    code = "author_has_no_rights"


class ReferenceInvalidError(InvalidInputError):
    """A job document has a reference that cannot stand there, or names nothing."""

    code = "reference_invalid"


class ChainTooLongError(RefusedError):
    """A trigger was pulled by a job that triggers started, too many of them in a row."""

    code = "trigger_chain_too_long"


class SubmitFailedError(BrokenError):
    """A job could not be submitted however often it was tried."""

    code = "firing_gave_up"
