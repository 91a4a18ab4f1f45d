"""How each source stands, read from its database: needs no daemon, and changes nothing."""
