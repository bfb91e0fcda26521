"""What a batch writes: positions, panes, dead letters, gaps, posted events."""
