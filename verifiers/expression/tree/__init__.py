"""The tree an answer is parsed into, and what is asked of it without computing."""
