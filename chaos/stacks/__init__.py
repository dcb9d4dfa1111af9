"""How the lab's processes are run. ``embedded`` starts them as children of the lab."""
