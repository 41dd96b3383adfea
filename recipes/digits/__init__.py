"""Handwritten digits as a task: a seed in, prompt sets, supervised rows and preferences out; nothing is downloaded."""

from recipes.digits.builder import build_digits

__all__ = ["build_digits"]
