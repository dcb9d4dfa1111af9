"""A retry budget: retries may be a small share of the calls, whatever happens.

After Marc Brooker, "Fixing retries with token buckets and circuit breakers" (2022), and
the retry budgets of Finagle and Envoy. It is what keeps an outage from turning into a storm.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetPolicy:
    """Each call earns *ratio* of a retry; at most *reserve* retries are saved up."""

    ratio: float = 0.1
    reserve: float = 10.0
    enabled: bool = True


class RetryBudget:
    """Count calls in and retries out."""

    def __init__(self, policy: BudgetPolicy) -> None:
        """Start with a full reserve."""
        self.policy = policy
        self.refused = 0
        self._tokens = policy.reserve

    def deposit(self) -> None:
        """Note a call: it earns its share of a retry."""
        self._tokens = min(self.policy.reserve, self._tokens + self.policy.ratio)

    def withdraw(self) -> bool:
        """Ask for one retry; False when the budget is spent."""
        if not self.policy.enabled:
            return True
        # A hair below one: ten deposits of 0.1 do not add up to exactly 1.0.
        if self._tokens < 1.0 - 1e-9:
            self.refused += 1
            return False
        self._tokens -= 1.0
        return True
