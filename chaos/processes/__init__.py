"""Processes that cannot outlive the lab: a supervisor that forks, watches and ends them."""
