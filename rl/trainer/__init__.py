"""Batches in, log-probabilities, optimizer steps and weights out: told what to compute, never why."""
