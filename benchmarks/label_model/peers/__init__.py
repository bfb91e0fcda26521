"""Other label models: what to install, and the script that runs them there."""
