-- What reversed a call, or is about to.
SELECT id, operation, state, amount, currency, provider_ref, error_text, created_at, settled_at FROM onceward.call WHERE undoes = %(id)s ORDER BY created_at
