-- Calls that rows of a statement may be about, a few for each row: by the provider's reference, by the key, and by our reference.
WITH row AS (
  SELECT * FROM unnest(%(lines)s::int[], %(references)s::text[], %(keys)s::text[], %(refs)s::text[], %(amounts)s::numeric[], %(currencies)s::text[])
    AS row (line, reference, key, ref, amount, currency)
)
SELECT row.line, 'reference' AS by, c.*
  FROM row, LATERAL (SELECT c.id, c.provider, c.operation, c.key, c.ref, c.amount, c.currency, c.state, c.version, c.created_at FROM onceward.call c
                      WHERE c.provider = %(provider)s AND left(c.provider_ref, 200) = left(row.reference, 200) AND c.provider_ref = row.reference
                        AND (%(operation)s::text IS NULL OR c.operation = %(operation)s) LIMIT 4) c
 WHERE row.reference IS NOT NULL
UNION ALL
SELECT row.line, 'key', c.*
  FROM row, onceward.operation o,
       LATERAL (SELECT c.id, c.provider, c.operation, c.key, c.ref, c.amount, c.currency, c.state, c.version, c.created_at FROM onceward.call c
                 WHERE (c.provider, c.operation, c.key) = (o.provider, o.name, row.key) LIMIT 1) c
 WHERE row.key IS NOT NULL AND o.provider = %(provider)s AND (%(operation)s::text IS NULL OR o.name = %(operation)s)
UNION ALL
SELECT row.line, 'ref', c.*
  FROM row, LATERAL (SELECT c.id, c.provider, c.operation, c.key, c.ref, c.amount, c.currency, c.state, c.version, c.created_at FROM onceward.call c
                      WHERE c.ref = row.ref AND c.provider = %(provider)s AND (%(operation)s::text IS NULL OR c.operation = %(operation)s)
                      ORDER BY coalesce(c.amount = row.amount AND c.currency = row.currency, false) DESC, c.created_at DESC LIMIT 4) c
 WHERE row.ref IS NOT NULL
 ORDER BY 1, 2, created_at, id
