"""Tokens in, a tree out, by an allow-list; nothing is evaluated."""
