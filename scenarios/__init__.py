"""Resilience scenarios of the widget platform: one file per family of hypotheses.

Each scenario is an ``Experiment``: ``pytest scenarios/ -m resilience`` runs it as a test,
``chaos-lab run PG-01`` by its id. They meet the platform only over the wire.
"""
