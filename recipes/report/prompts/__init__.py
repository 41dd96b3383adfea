"""What a run tells of its prompts: which flipped, which taught nothing, what they ask and what is answered."""
