"""Stages that learn from rows and pairs that are there: SFT and reward models. Samples nothing but what an SFT is
validated on."""
