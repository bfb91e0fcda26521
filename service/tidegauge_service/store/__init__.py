"""The database: the only place that knows SQL. SQLite (WAL) or PostgreSQL, by URL."""
