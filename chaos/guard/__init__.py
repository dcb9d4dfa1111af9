"""Undo before do: what takes every fault back, even when nobody is left who injected it."""
