"""The gateway: the one public door, which authenticates, limits and forwards."""
