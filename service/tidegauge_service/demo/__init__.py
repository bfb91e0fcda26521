"""The built-in demo: a seeded stream for a spam filter whose world changes, and its LFs."""
