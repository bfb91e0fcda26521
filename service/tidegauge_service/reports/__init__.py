"""What a replay found, as data and as one HTML file."""
