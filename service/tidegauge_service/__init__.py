"""Runs tidegauge: sources, store, jobs, API, web pages and command line."""

from importlib.metadata import version

__version__ = version("tidegauge")
