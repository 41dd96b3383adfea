"""Hybrid PPO with one part left out at a time."""
