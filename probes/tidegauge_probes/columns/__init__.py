"""A batch of records as columns: texts, words, patterns. It knows nothing about LFs."""
