"""A tree in, its value out, exact or at 50 digits, under budgets; nothing is compared."""
