"""What a rank trains or asks: policy, critic and frozen policies under DeepSpeed, and their weights by hub name."""
