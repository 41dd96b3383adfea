"""A run directory in, its prompts, rollouts and rates as a page shows them out; it writes nothing."""
