"""Safeguards for calls that can fail: pure, typed, with clock and chance passed in.

No web framework and no driver in here: copy the folder, or install it, and use it elsewhere.
"""

from services.resilience.breaker import BreakerPolicy, CircuitBreaker, State, Ticket
from services.resilience.bucket import KeyedBuckets, TokenBucket
from services.resilience.budget import BudgetPolicy, RetryBudget
from services.resilience.bulkhead import Bulkhead, BulkheadPolicy
from services.resilience.deadline import Clock, Deadline
from services.resilience.edge import Edge, EdgeObserver, EdgePolicy
from services.resilience.errors import (
    AnsweredUnknown,
    AttemptTimeout,
    BreakerOpen,
    BulkheadFull,
    DeadlineExceeded,
    DependencyFailed,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    RateLimited,
    Rejected,
    ResilienceError,
    Shed,
)
from services.resilience.ingress import Ingress, IngressPolicy
from services.resilience.retry import Retrier, RetryPolicy
from services.resilience.singleflight import SingleFlight
from services.resilience.stale import Known, StaleCache
from services.resilience.switches import Switches, UnknownSafeguardError

__all__ = [
    "AnsweredUnknown",
    "AttemptTimeout",
    "BreakerOpen",
    "BreakerPolicy",
    "BudgetPolicy",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadPolicy",
    "CircuitBreaker",
    "Clock",
    "Deadline",
    "DeadlineExceeded",
    "DependencyFailed",
    "Edge",
    "EdgeObserver",
    "EdgePolicy",
    "Ingress",
    "IngressPolicy",
    "KeyedBuckets",
    "Known",
    "NotSent",
    "OutcomeUnknown",
    "Overloaded",
    "RateLimited",
    "Rejected",
    "ResilienceError",
    "Retrier",
    "RetryBudget",
    "RetryPolicy",
    "Shed",
    "SingleFlight",
    "StaleCache",
    "State",
    "Switches",
    "Ticket",
    "TokenBucket",
    "UnknownSafeguardError",
]
