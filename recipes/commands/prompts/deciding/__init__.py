"""Prompts in, decisions of people out: marks, corrections, verdicts by them. It changes no prompt set and no log."""
