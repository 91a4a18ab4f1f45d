SELECT * FROM onceward.approval_rule ORDER BY provider, operation, verb, currency, above
