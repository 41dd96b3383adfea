"""Curation as recipes: a prompt set goes in, stage after stage drops or rewrites prompts and says why."""
