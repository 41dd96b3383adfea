"""Prompts in, judged rollouts and the batch learnt from out; it never touches weights."""
