"""Where inputs come from: Kafka, files, the event log, the demo."""
