"""The command line: ``tidegauge``."""

from tidegauge_service.cli.main import main

__all__ = ["main"]
