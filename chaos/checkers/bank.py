"""Money is neither made nor lost: every snapshot of all accounts has the same total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.checkers.anomalies import Anomaly, Coverage, concluded, named, oks, refused
from chaos.history import NEVER, History, Operation, Outcome
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Bank:
    """Every snapshot of the accounts has *total* in it, and none is negative.

    A wrong total that a later snapshot puts right was only seen so (read skew); one that stays is
    in the store (wrong total). After Jepsen's bank test.

    Attributes:
        total: over all accounts.
        reads: the operations whose answer carries the balance of each account by name.
        transfers: the operations that move money.
        overdraft: whether an account may be negative.
    """

    total: int
    reads: tuple[str, ...] = ("read",)
    transfers: tuple[str, ...] = ("transfer",)
    overdraft: bool = False

    def __call__(self, history: History) -> Finding:
        """Judge *history*; ``History.final``, if there, is the last snapshot.

        Raises:
            HistoryError: a snapshot is not a balance for each account.
        """
        operations = history.of(*self.reads, *self.transfers)
        reads = [_checked(o) for o in oks(operations) if o.operation in self.reads]
        looks = [_Look(balances=r.value, start_ns=r.start_ns, end_ns=r.end_ns, read=r) for r in reads]
        if history.final is not None:
            looks.append(_Look(balances=history.final, start_ns=NEVER, end_ns=NEVER))
        sent = [o.start_ns for o in operations if o.operation in self.transfers and o.outcome is not Outcome.FAIL]
        exercised = sum(look.end_ns >= min(sent) for look in looks) if sent else 0
        anomalies = list(self._judge(looks))
        coverage = Coverage.of(history, operations, exercised, "were snapshots beside or after a transfer")
        return concluded(f"all accounts together hold {self.total}", history, coverage, anomalies)

    def _judge(self, looks: Sequence[_Look]) -> Iterator[Anomaly]:
        right_ns = max((look.start_ns for look in looks if look.total == self.total), default=-1)
        for look in looks:
            if look.total != self.total:
                name = "read skew" if look.end_ns < right_ns else "wrong total"
                yield look.anomaly(name, f"found {look.total}, not {self.total}")
            overdrawn = sorted(account for account, balance in look.balances.items() if balance < 0)
            if overdrawn and not self.overdraft:
                says = f"found {look.balances[overdrawn[0]]} on account {overdrawn[0]!r}"
                yield look.anomaly("negative balance", says)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """One snapshot of the accounts: by a *read*, or after everything."""

    balances: Mapping[str, int]
    start_ns: int
    end_ns: int
    read: Operation | None = None

    @property
    def total(self) -> int:
        return sum(self.balances.values())

    def anomaly(self, name: str, says: str) -> Anomaly:
        who = named(self.read) if self.read else "the final read"
        return Anomaly(name, f"{who} {says}", (self.read,) if self.read else ())


def _checked(read: Operation) -> Operation:
    if not isinstance(read.value, dict) or not all(type(balance) is int for balance in read.value.values()):
        raise refused(read, f"returned {read.value!r}, expected an integer for each account")
    return read
