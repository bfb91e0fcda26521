"""The page that people look at: server-rendered, no script, nothing fetched from elsewhere."""
