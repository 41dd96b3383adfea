"""What others print and raise in; a log file and one line that says what to change out. It knows no run."""
