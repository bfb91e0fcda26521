"""Label models saved by Snorkel, read without running anything in the file."""
