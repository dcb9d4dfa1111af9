"""Tests of the consistency checkers."""
