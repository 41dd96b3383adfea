"""What people decided about prompts: events in, what they come to and its tables out; nothing is ever edited."""
