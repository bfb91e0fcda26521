"""What starts and stops: supervisor, worker process, server, pipeline."""
