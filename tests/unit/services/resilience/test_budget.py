"""Retries are a small share of the calls."""

from services.resilience import BudgetPolicy, RetryBudget


def test_ten_calls_earn_one_retry():
    """With the reserve spent, every tenth call brings one retry."""
    budget = RetryBudget(BudgetPolicy(ratio=0.1, reserve=2))
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    for _ in range(10):
        budget.deposit()
    assert [budget.withdraw() for _ in range(2)] == [True, False]
    assert budget.refused == 2


def test_the_reserve_is_bounded():
    """A quiet day does not save up a storm."""
    budget = RetryBudget(BudgetPolicy(ratio=0.1, reserve=2))
    for _ in range(1000):
        budget.deposit()
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]


def test_without_a_budget_every_retry_is_allowed():
    """With `retry.budget` off nothing holds a storm back."""
    budget = RetryBudget(BudgetPolicy(reserve=1, enabled=False))
    assert all(budget.withdraw() for _ in range(100))
