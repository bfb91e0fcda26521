"""From the bytes of an input to a record, or to a dead letter."""
