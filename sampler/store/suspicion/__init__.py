"""References that a policy's answers speak against."""
