"""Messages as signed JSON over HTTP."""
