"""What a guarded call can raise.

ResilienceError
├── Rejected              a safeguard of ours refused: the dependency saw nothing
│   ├── BreakerOpen
│   ├── BulkheadFull
│   ├── DeadlineExceeded
│   ├── RateLimited
│   └── Shed
└── DependencyFailed      the dependency, or the road to it, failed
    ├── NotSent           it certainly had no effect: safe to repeat
    ├── Overloaded        it said "not now": no effect, do not hurry back
    └── OutcomeUnknown    it may have had its effect: repeat only what is idempotent
        ├── AttemptTimeout
        └── AnsweredUnknown   it says itself that it does not know

Everything else that comes out of an attempt is an *answer* of a living dependency
("no such widget", "version conflict") and passes through untouched.
"""


class ResilienceError(Exception):
    """Base of everything below; `retry_after` is in seconds, when there is a hint."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        """Keep the hint beside the message."""
        super().__init__(message)
        self.retry_after = retry_after
        self.edge: str | None = None


class Rejected(ResilienceError):  # noqa: N818 - what it is, not that it is an error
    """A safeguard refused before anything was sent."""


class BreakerOpen(Rejected):
    """The circuit breaker of the edge is open, or its half-open permits are taken."""


class BulkheadFull(Rejected):
    """No slot of the edge's bulkhead became free within the bounded wait."""


class DeadlineExceeded(Rejected):
    """The time of the whole request is used up: no work is started for it."""


class RateLimited(Rejected):
    """The caller asks more often than it may."""


class Shed(Rejected):
    """The service is full and its queue too: refused at the door."""


class DependencyFailed(ResilienceError):  # noqa: N818 - as above
    """The dependency did not give an answer."""


class NotSent(DependencyFailed):
    """The request never reached the dependency, or was refused before any effect."""


class Overloaded(DependencyFailed):
    """The dependency pushed back: nothing was done, and it asks for a pause."""


class OutcomeUnknown(DependencyFailed):
    """The request may have been carried out; only its reply is missing."""


class AttemptTimeout(OutcomeUnknown):
    """No reply within the time of one attempt."""


class AnsweredUnknown(OutcomeUnknown):
    """The dependency answered that it does not know: it is itself well."""
