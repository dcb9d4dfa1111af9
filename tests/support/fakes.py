"""A fault in the middle of a history that is written by hand."""

from chaos.history import FaultWindow

FAULT = FaultWindow(fault="Down()", on="a.b", sent_ns=600, injected_ns=610, heal_sent_ns=1200, healed_ns=1210)
