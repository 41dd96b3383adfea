"""Evaluations of a policy, and how two are compared beyond noise."""
