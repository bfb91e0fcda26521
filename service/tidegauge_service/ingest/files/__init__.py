"""Files as a source. A file is a partition, a record of it an offset."""
