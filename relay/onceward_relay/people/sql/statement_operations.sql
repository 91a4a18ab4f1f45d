-- The operations of a provider with what their results look like.
SELECT name, result_schema FROM onceward.operation WHERE provider = %(provider)s AND (%(operation)s::text IS NULL OR name = %(operation)s) ORDER BY name
