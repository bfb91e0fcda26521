"""The partitions of one worker: which it owns, where they go on, where they end."""
