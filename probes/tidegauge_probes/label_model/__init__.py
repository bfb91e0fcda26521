"""What the LFs say together: Dawid-Skene, precision, accuracy."""
