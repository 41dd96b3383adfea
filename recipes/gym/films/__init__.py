"""Exercises on films: which way, and from when to when."""
