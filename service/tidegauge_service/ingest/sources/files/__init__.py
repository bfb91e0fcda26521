"""Files as a source: which file is which, and how each format is read."""
