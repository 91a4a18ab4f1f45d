"""The same by JSON: what the pages show and decide, for programs with a token. No cookie counts here."""
