"""Exercises that look for things: count, compare, measure, point."""
