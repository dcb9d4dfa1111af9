"""Whether data survives: nothing acknowledged is lost, nothing happens twice."""

from signal import SIGKILL

from chaos import (
    AtCommit,
    ClosedLoop,
    Crosses,
    Experiment,
    HalfOpen,
    Ledger,
    Mutation,
    OpenLoop,
    Recovers,
    ResetPeer,
    Restart,
    Retries,
    Window,
    rearmed,
)
from scenarios.traffic import edits, marks_at_rest, persistent_writes, widgets_at_rest, writes

EDGE = "widget-core.postgres"
KILLS_S = (0.0, 1.3, 2.9, 4.1, 5.8)  # as uneven as chance would have it, and the same in every run
LOST_REPLY = AtCommit(fault=HalfOpen(), table="widgets", at_least=2)

commit_reply_lost = Experiment(
    id="CON-01",
    title="The reply to COMMIT is lost",
    hypothesis="Clients that repeat a write with its idempotency key until they know end with exactly one widget each, "
    "although the server had committed and the first answer was an error.",
    workloads=(OpenLoop(plan=persistent_writes, rate=20),),
    faults=tuple(Window(fault=LOST_REPLY, on=EDGE, start_s=start, duration_s=0.8) for start in (0, 3, 6)),
    checkers=(Ledger(operation="create", resolved=True),),
    mutations=(Mutation(off="widget-core.idempotency", caught_by=Ledger),),
    recovery_s=6.0,
    at_rest=widgets_at_rest,
)

lost_update = Experiment(
    id="CON-07",
    title="Edits are repeated over connections that are reset",
    hypothesis="Nobody overwrites an edit that he has not seen: every edit that was acknowledged is in its widget at "
    "the end, once, although the gateway repeats what was reset.",
    workloads=(ClosedLoop(plan=edits, users=4, think_s=0.1),),
    faults=(Window(fault=rearmed(ResetPeer(toxicity=0.3), every_ms=50), on="gateway.widget-core", duration_s=6),),
    checkers=(
        Crosses(edge="gateway.widget-core"),
        Retries(edge="gateway.widget-core", at_least=5),
        Ledger(operation="edit"),
    ),
    mutations=(Mutation(off="widget-core.if_match", caught_by=Ledger),),
    steady_share=0.5,  # an edit of something that somebody else has changed is refused
    at_rest=marks_at_rest,
)

killed = Experiment(
    id="CON-03",
    title="Postgres is killed five times",
    hypothesis="Every write that was acknowledged is there after five times kill -9 of the server, and none twice; "
    "writes work again 5 s after the last restart.",
    workloads=(OpenLoop(plan=writes, rate=50),),
    faults=tuple(Window(fault=Restart(signal=SIGKILL), on="postgres", start_s=s, duration_s=0.5) for s in KILLS_S),
    # Five openings in a row: the breaker waits longer each time before it lets somebody try.
    checkers=(Ledger(operation="create"), Recovers(operation="create", within_s=5.0)),
    mutations=(
        Mutation(off="widget-core.ack_after_commit", caught_by=Ledger),
        Mutation(off="widget-core.postgres.durable_commit", caught_by=Ledger),
    ),
    recovery_s=6.0,
    steady_share=0.9,  # writes on pools that are still cold may be refused; what counts is what was acknowledged
    at_rest=widgets_at_rest,
)
