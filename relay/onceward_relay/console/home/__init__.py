"""The console's own database: people, what they may do, their sessions and saved views, and denied attempts."""
