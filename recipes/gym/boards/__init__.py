"""Exercises that solve what is on a board: mazes, sudokus, graphs, patterns. Any right solution counts."""
