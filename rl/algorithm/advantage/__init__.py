"""Rewards of whole responses in, an advantage for each token out."""
