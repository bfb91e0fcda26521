"""What the detector will find, and how soon, before it goes live."""
