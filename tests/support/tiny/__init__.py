"""A platform of one small service, to test the lab without the reference platform."""
