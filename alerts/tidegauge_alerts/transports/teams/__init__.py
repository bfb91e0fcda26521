"""Messages in a channel of Microsoft Teams."""
