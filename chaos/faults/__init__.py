"""Faults: frozen values that can be injected on edges and healed. One fault, one short file."""
