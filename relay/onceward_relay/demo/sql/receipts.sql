SELECT transfer_id, amount, currency FROM receipt
