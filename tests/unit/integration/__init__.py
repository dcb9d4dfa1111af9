"""Unit tests of what the integration suite is made of."""
