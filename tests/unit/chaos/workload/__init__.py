"""Load leaves on time, is written down before it leaves, and claims no more than it can know."""
