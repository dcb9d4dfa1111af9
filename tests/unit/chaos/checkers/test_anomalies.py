"""Each anomaly, produced by a small store with one planted defect under clients that overlap, is named.

The real platform shows some of them too, with a safeguard switched off (``make prove``): CON-01 and
CON-07 doubled and lost edits, CON-03 lost acknowledged writes, RD-08 stale reads of a register. Four
are shown over HTTP in ``test_anomalies_over_http.py``.
"""

from collections import Counter as Counted
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import pytest

from chaos.checkers.anomalies import NAMES, Anomaly
from chaos.checkers.at_rest import AtRest
from chaos.checkers.bank import Bank
from chaos.checkers.compare_and_set import CompareAndSet
from chaos.checkers.counter import Counter
from chaos.checkers.finding import Checker
from chaos.checkers.idempotency import Idempotency
from chaos.checkers.ledger import Ledger
from chaos.checkers.linearizable import Linearizable
from chaos.checkers.register import Register
from chaos.checkers.sessions import Sessions
from chaos.checkers.staleness import Staleness
from chaos.checkers.transactions import Transactions
from chaos.errors import LabError
from chaos.history import Operation, Outcome
from chaos.results.model import Finding, Verdict
from tests.support.agreement import AGREEMENTS
from tests.support.stores import accounts, elements, lists, plans, records, registers
from tests.support.stores.interleaving import Plan, Store, run

SEEDS, AT_LEAST = 10, 9


@dataclass(frozen=True)
class Lock:
    """What a lock is: nobody takes it while somebody has it."""

    def initial(self) -> Hashable:
        return 0

    def step(self, state: Hashable, operation: Operation) -> Hashable | None:
        if operation.operation == "acquire":
            return operation.process if state == 0 else None
        return 0 if state == operation.process else None


CREATES = Ledger(operation="create")
REMOVES = Ledger(operation="create", removes="remove")
READS = Ledger(operation="create", removes="remove", reads="everything")
SERIAL, SESSION = Transactions(level="serializable"), Transactions(level="strong session serializable")
ONCE = Idempotency(operation="once")
CACHE, COPY = AtRest(truth="rows", caches=("cache",)), AtRest(truth="rows", copies=("copy",))
READ_AND_DELETED = ("put", "read", "read", "delete", "read", "read")
CHANGED = ("put", "put", "read")


@dataclass(frozen=True)
class Row:
    """One planted defect.

    Attributes:
        anomaly: what the checker must name.
        store, sound: the store with the defect and the same without.
        beside: names that the anomaly cannot be had without.
    """

    anomaly: str
    store: type[Store]
    sound: type[Store]
    plan: Plan
    checker: Checker
    beside: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What names it in a report."""
        return f"{self.anomaly} by {type(self.checker).__name__}"


ROWS = [
    Row(
        "stale read",
        registers.LaggingReplica,
        registers.Registers,
        plans.one_writer,
        Register(),
        beside=("new-old inversion",),  # where the client never learnt of its write
    ),
    Row("new-old inversion", registers.OneAfterTheOther, registers.Registers, plans.one_writer, Register()),
    Row("lost write", registers.LosesWrites, registers.Registers, plans.registers, Register()),
    Row("garbage read", registers.TornWrites, registers.Registers, plans.registers, Register()),
    Row("aborted read", registers.WritesThenRefuses, registers.Registers, plans.registers, Register()),
    Row("future read", registers.Speculates, registers.Registers, plans.registers, Register()),
    Row("stale beyond bound", registers.LaggingReplica, registers.Registers, plans.registers, Staleness(within_ms=30)),
    Row("garbage read", registers.TornWrites, registers.Registers, plans.registers, Staleness(within_ms=30)),
    Row("aborted read", registers.WritesThenRefuses, registers.Registers, plans.registers, Staleness(within_ms=30)),
    Row("future read", registers.Speculates, registers.Registers, plans.registers, Staleness(within_ms=30)),
    Row("lost update", registers.ChecksThenSets, registers.Registers, plans.swaps, CompareAndSet()),
    Row("cycle", registers.LetsACirclePass, registers.Waits, plans.rings, CompareAndSet()),
    Row("stale version", registers.ComparesWithThePast, registers.Registers, plans.own_swaps, CompareAndSet()),
    Row("stale read", registers.LaggingReplica, registers.Registers, plans.swaps, CompareAndSet()),
    Row("garbage read", registers.TornWrites, registers.Registers, plans.swaps, CompareAndSet()),
    Row("aborted read", registers.WritesThenRefuses, registers.Registers, plans.swaps, CompareAndSet()),
    Row(
        "future read",
        registers.Speculates,
        registers.Registers,
        plans.swaps,
        CompareAndSet(),
        beside=("stale read", "stale version"),  # a value that was seen too early seems replaced by what came then
    ),
    Row("lost acknowledged write", elements.CopiesAndReplaces, elements.Elements, plans.additions, CREATES),
    Row("doubled", elements.ForgetsKeys, elements.Elements, plans.additions, CREATES),
    Row("refused but done", elements.RefusesTooLate, elements.Elements, plans.additions, CREATES),
    Row(
        "never resolved",
        elements.HangsOnKeys,
        elements.Elements,
        plans.additions,
        Ledger(operation="create", resolved=True),
    ),
    Row("resurrected", elements.BringsBack, elements.Elements, plans.removals, REMOVES),
    Row(
        "visible late",
        elements.ListsLate,
        elements.Elements,
        plans.additions,
        Ledger(operation="create", reads="everything", visible_within_s=0.1),
    ),
    Row("doubled in a read", elements.ListsInPages, elements.Elements, plans.additions, READS),
    Row("resurrected in a read", elements.ListsRemoved, elements.Elements, plans.removals, READS),
    Row("aborted read", elements.ListsRefused, elements.Elements, plans.additions, READS),
    Row("future read", elements.ListsAhead, elements.Elements, plans.additions, READS),
    Row("lost increment", elements.ReadsThenAdds, elements.Counters, plans.increments, Counter()),
    Row("double apply", elements.CountsAgain, elements.Counters, plans.increments, Counter()),
    Row("read skew", accounts.ReadsOneByOne, accounts.Accounts, plans.transfers, Bank(total=accounts.TOTAL)),
    Row("wrong total", accounts.LosesMoney, accounts.Accounts, plans.transfers, Bank(total=accounts.TOTAL)),
    Row("negative balance", accounts.ChecksThenTakes, accounts.Accounts, plans.transfers, Bank(total=accounts.TOTAL)),
    Row("double apply", elements.ChecksThenActs, elements.Effects, plans.shared_keys, ONCE),
    Row("divergent response", elements.AnswersAnew, elements.Effects, plans.shared_keys, ONCE),
    Row(
        "lost acknowledgement",
        elements.DropsEffects,
        elements.Effects,
        plans.shared_keys,
        ONCE,
    ),
    Row("refused but done", elements.ActsThenRefuses, elements.Effects, plans.shared_keys, ONCE),
    Row("monotonic reads violated", registers.LaggingReplica, registers.Registers, plans.roles, Sessions()),
    Row("read your writes violated", registers.BehindForever, registers.Registers, plans.registers, Sessions()),
    Row("monotonic writes violated", registers.SplitBrain, registers.Registers, plans.roles, Sessions()),
    Row("writes follow reads violated", registers.SplitBrain, registers.Registers, plans.visits, Sessions()),
    Row("G0", lists.Dirty, lists.Lists, plans.pairs_written, Transactions()),
    Row("G1a", lists.KeepsRefused, lists.Lists, plans.read_and_append, Transactions()),
    Row("G1b", lists.Dirty, lists.Lists, plans.double_appends, Transactions(), beside=("G-single",)),
    Row("G1c", lists.Dirty, lists.Lists, plans.pairs_crossed, Transactions()),
    Row("G-single", lists.ReadsLive, lists.Lists, plans.both_lists, Transactions()),
    Row("G2-item", lists.SnapshotIsolation, lists.Lists, plans.pairs_skewed, Transactions()),
    Row("G0-process", lists.MergesLate, lists.Lists, plans.one_reader, SESSION),
    Row("G1c-process", lists.ReadsTheFuture, lists.Lists, plans.own_lists_early, SESSION),
    Row("G-single-process", lists.ReadsThePast, lists.Lists, plans.own_lists, SESSION),
    Row("G2-item-process", lists.SnapshotIsolation, lists.Lists, plans.late_and_quick, SESSION),
    Row("G0-realtime", lists.MergesByProcess, lists.Lists, plans.one_reader, Transactions()),
    Row("G1c-realtime", lists.ReadsTheFuture, lists.Lists, plans.lists_early, Transactions()),
    Row("G-single-realtime", lists.ReadsThePast, lists.Lists, plans.single_steps, Transactions()),
    Row("G2-item-realtime", lists.SnapshotIsolation, lists.Lists, plans.late_and_apart, Transactions()),
    Row("internal", lists.BlindToItself, lists.Lists, plans.append_and_read, Transactions()),
    Row(
        "duplicate element", lists.AppendsTwice, lists.Lists, plans.single_steps, SERIAL, beside=("incompatible order",)
    ),
    Row("garbage read", lists.LeavesGhosts, lists.Lists, plans.single_steps, SERIAL),
    Row("incompatible order", lists.TwoOrders, lists.Lists, plans.single_steps, SERIAL, beside=("G-single",)),
    Row("dangling cache entry", records.FillsLate, records.Records, plans.records(*READ_AND_DELETED), CACHE),
    Row("divergence", records.Overtakes, records.Records, plans.records(*CHANGED), COPY),
    Row("orphan", records.Overtakes, records.Records, plans.short_lives, COPY),
    Row(
        "late convergence",
        records.Dawdles,
        records.Records,
        plans.records(*CHANGED),
        AtRest(truth="rows", copies=("copy",), within_s=1),
    ),
    Row(
        "not linearizable",
        accounts.ChecksThenLocks,
        accounts.Locks,
        plans.locks,
        Linearizable(model=Lock(), operations=("acquire", "release")),
    ),
]

SOUND = {(row.sound, row.plan, row.checker): row for row in ROWS}


def named(finding: Finding, checker: Checker) -> set[str]:
    """The anomalies that *finding* counts."""
    return {name for name in NAMES[type(checker).__name__] if name.replace(" ", "_") in finding.measured}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_defect_is_named_and_nothing_else(row: Row, tmp_path: Path) -> None:
    """In nine of ten runs at least, with at most four operations as witness."""
    found = 0
    for seed in range(SEEDS):
        finding = row.checker(run(tmp_path / str(seed), row.store, row.plan, seed))
        names = named(finding, row.checker)
        found += finding.verdict is Verdict.REFUTED and names - set(row.beside) == {row.anomaly}
        assert len(finding.witness) <= 4
    assert found >= AT_LEAST


@pytest.mark.parametrize("row", SOUND.values(), ids=lambda row: row.id)
def test_the_same_store_without_the_defect_is_held(row: Row, tmp_path: Path) -> None:
    """The same calls, lost requests and lost answers: no false alarm in any of ten runs."""
    for seed in range(SEEDS):
        finding = row.checker(run(tmp_path / str(seed), row.sound, row.plan, seed))
        assert finding.verdict is Verdict.HELD, finding


def test_every_anomaly_of_every_checker_has_a_planted_defect() -> None:
    """A new name without a store that produces it is noticed."""
    planted = {(type(row.checker).__name__, row.anomaly) for row in ROWS}
    assert planted == {(checker, name) for checker, names in NAMES.items() for name in names}


def test_a_checker_can_give_no_other_name() -> None:
    """One that is nowhere entered is refused, and random histories bring up none of another checker."""
    with pytest.raises(LabError, match="'lost socks' is no anomaly of NAMES"):
        Anomaly("lost socks", "one of two is missing")
    every = {name.replace(" ", "_"): name for names in NAMES.values() for name in names}
    for agreement in AGREEMENTS.values():
        for history in islice(agreement.histories(1), 200):
            given = {every[key] for key in agreement.checker(history).measured if key in every}
            assert given <= set(NAMES[type(agreement.checker).__name__])


def test_a_run_has_all_that_makes_judging_hard(tmp_path: Path) -> None:
    """Calls overlap, outcomes are unknown, writes are refused, and the same seed is the same run."""
    one, again = (run(tmp_path / name, registers.Registers, plans.registers, 1) for name in "ab")
    outcomes = Counted(o.outcome for o in one.operations)
    overlapping = sum(a.answered_ns > b.start_ns for a, b in pairwise(one.operations))
    assert one.operations == again.operations
    assert min(outcomes[outcome] for outcome in Outcome) >= 5
    assert overlapping > len(one.operations) / 2
