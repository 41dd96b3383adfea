"""Rules that judge a final answer. Pure Python: imports neither torch nor Ray."""
