"""What commands share: the terminal, the database, options, groups that load on first use."""
