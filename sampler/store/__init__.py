"""Rollout logs and prompt sets as tables to query, and prompts chosen by them. Never writes into a run."""
