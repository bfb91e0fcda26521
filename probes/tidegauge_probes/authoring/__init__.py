"""What an author asks of LFs before they are deployed: check, compare, write as a file."""
