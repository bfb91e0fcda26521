"""What people write: settings of the process, and the stream file."""
