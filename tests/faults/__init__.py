"""Faults on a small real platform: each bites, and each heals."""
