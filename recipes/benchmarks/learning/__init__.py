"""What learns better: arms that differ in one thing, over paired seeds, with their pages."""
