"""One module for each page, from plain values to what its template shows."""
