SELECT id, account, amount, currency, state, completions FROM transfer
