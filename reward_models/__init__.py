"""Learned judges of a final answer: train them and serve them."""
