"""The reference platform under test: gateway, widget core, ORB core and security."""
