-- SQLite. What the bank has done: an effect is a row of movement, and nothing in the tables keeps it from being done twice.
CREATE TABLE IF NOT EXISTS account (
  name TEXT NOT NULL,
  currency TEXT NOT NULL,
  opening INTEGER NOT NULL,
  balance INTEGER NOT NULL CHECK (balance >= 0),
  PRIMARY KEY (name, currency)
);
CREATE TABLE IF NOT EXISTS movement (
  no INTEGER PRIMARY KEY,
  operation TEXT NOT NULL,
  key TEXT,
  reference TEXT NOT NULL,
  account TEXT NOT NULL,
  currency TEXT NOT NULL,
  cents INTEGER NOT NULL,
  moved INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS movement_reference ON movement (operation, reference);
CREATE TABLE IF NOT EXISTS answer (
  operation TEXT NOT NULL,
  key TEXT NOT NULL,
  request BLOB NOT NULL,
  no INTEGER NOT NULL REFERENCES movement,
  PRIMARY KEY (operation, key)
);
