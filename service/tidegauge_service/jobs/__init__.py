"""What runs on ticks: closing and evaluating windows, sending messages."""
