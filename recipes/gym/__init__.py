"""Drawn questions with a verifier and a difficulty: a seed in, prompts and supervised rows out; none is downloaded."""

from recipes.gym.builder import build_gym

__all__ = ["build_gym"]
