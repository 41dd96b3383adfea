"""Puzzle protocols: each checks that a solution is valid, instead of comparing it with one gold string."""
