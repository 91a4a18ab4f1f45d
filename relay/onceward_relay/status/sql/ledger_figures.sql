-- Figures of the calls that are not settled.
SELECT figure, provider, currency, value::float8 FROM onceward.ledger_figures()
