"""What is learnt from before any rollout: rows and prompts in, token sequences and batches out; it starts no engine."""
