"""Whether data survives: nothing acknowledged is lost, nothing happens twice."""

from chaos import AtCommit, Experiment, HalfOpen, Ledger, OpenLoop, Window
from scenarios.traffic import persistent_writes, widgets_at_rest

EDGE = "widget-core.postgres"
LOST_REPLY = AtCommit(fault=HalfOpen(), table="widgets", at_least=2)

commit_reply_lost = Experiment(
    id="CON-01",
    title="The reply to COMMIT is lost",
    hypothesis="Clients that repeat a write with its idempotency key until they know end with exactly one widget each, "
    "although the server had committed and the first answer was an error.",
    workloads=(OpenLoop(plan=persistent_writes, rate=20),),
    faults=tuple(Window(fault=LOST_REPLY, on=EDGE, start_s=start, duration_s=0.8) for start in (0, 3, 6)),
    checkers=(Ledger(operation="create", resolved=True),),
    mutations=("widget-core.idempotency",),
    recovery_s=6.0,
    at_rest=widgets_at_rest,
)
