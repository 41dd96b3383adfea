"""Two trees in, whether they are the same answer out; nothing is parsed."""
