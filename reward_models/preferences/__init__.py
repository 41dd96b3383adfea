"""What reward models learn from: answers to a prompt in an order, read, made up, and reported on. Trains nothing."""
