"""Which rollouts are learnt from, and the reward that each is learnt with."""
