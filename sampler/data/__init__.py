"""Data sets as people have them in, prompts and supervised rows out, wrong rows named; it samples nothing."""
