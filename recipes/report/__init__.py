"""What a run looks like to a person: the report page and the rollout browser."""
