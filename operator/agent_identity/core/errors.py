"""Our three errors. The class decides retry, event and log together.

Problem
├── Invalid   the author must act; no retry; Stalled
├── Waiting   somebody else is due; looked at again on their event, and at intervals
└── Failed    retried with back-off and jitter, capped, for ever
"""

from agent_identity.api.conditions import Reason

MESSAGE_LIMIT = 1024


class Problem(Exception):  # noqa: N818  it is what status tells, and no error of ours
    """Something keeps us from what the spec asks for.

    reason: a documented constant. message: for people; never holds a secret, a time or a
    resourceVersion, so that it does not flap.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message[:MESSAGE_LIMIT]


class Invalid(Problem):
    """Only a change by its author helps."""


class Waiting(Problem):
    """Somebody else is due."""


class Failed(Problem):
    """A backend failed. retry_after: seconds that it asked us to wait, if it did."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after
