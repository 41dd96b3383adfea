"""Prompts in, drawn by what is known of them: weights, beliefs, rules. Never samples, never reads a clock."""
