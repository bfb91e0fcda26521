"""Messages as mail, over SMTP."""
