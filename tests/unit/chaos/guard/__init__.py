"""Undo before do."""
