"""The program: rounds, judging, advantages, the trainer and weight sync."""
