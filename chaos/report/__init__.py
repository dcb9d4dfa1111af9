"""Pictures of a run for people: pure functions from results and histories to HTML."""
