"""Other tools, each for real, in an environment of its own."""
