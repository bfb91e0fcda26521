"""False alarms against delay: tidegauge, textbook rules and other tools on the same traffic."""
