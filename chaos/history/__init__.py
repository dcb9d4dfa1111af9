"""The append-only record of a run: what clients saw and what faults did, on one clock.

A file of JSON lines. An operation's ``invoke`` line is on disk before its request leaves, so a
killed runner leaves a history in which the operation is there with an unknown outcome. Faults are
lines of the same file. All times are nanoseconds of ``CLOCK_MONOTONIC``.
"""

from chaos.history.entries import FORMAT as FORMAT
from chaos.history.entries import HICCUP as HICCUP
from chaos.history.entries import NEVER as NEVER
from chaos.history.entries import FaultWindow as FaultWindow
from chaos.history.entries import Operation as Operation
from chaos.history.entries import Outcome as Outcome
from chaos.history.entries import Sample as Sample
from chaos.history.entries import Select as Select
from chaos.history.entries import Snapshot as Snapshot
from chaos.history.entries import overlapping as overlapping
from chaos.history.lines import read_lines as read_lines
from chaos.history.model import History as History
from chaos.history.recorder import Recorder as Recorder
