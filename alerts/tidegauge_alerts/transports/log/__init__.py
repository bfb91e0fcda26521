"""Messages as lines of the log."""
