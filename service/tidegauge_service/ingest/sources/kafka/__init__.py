"""Apache Kafka as a source, through kafka-python."""
