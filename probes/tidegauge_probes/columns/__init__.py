"""A batch of records as columns: texts, words, patterns. Knows nothing of LFs."""
