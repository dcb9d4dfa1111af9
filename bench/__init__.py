"""Measurements of the lab and of the platform; ``make bench`` keeps their figures in results/bench."""
