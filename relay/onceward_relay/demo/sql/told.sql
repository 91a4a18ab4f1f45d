-- Messages by which the payee learned, when a transfer was undone, that no money will come.
SELECT told FROM transfer WHERE told IS NOT NULL
