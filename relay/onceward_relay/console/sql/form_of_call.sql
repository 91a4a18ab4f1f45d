-- What the form of a verb has to know of a call beside the call: what its operation answers and what reverses it asks for, who has to agree, what evidence there is.
SELECT o.result_schema, u.request_schema AS undo_schema, onceward.is_solo() AS solo,
       (SELECT jsonb_object_agg(verb, onceward.approvals_needed(verb, c.id, c.amount, c.currency::text, NULL))
          FROM unnest(ARRAY['applied', 'not_applied', 'new_key', 'refund', 'accept_difference']) verb) AS approvals,
       (SELECT coalesce(sum(r.amount), 0) FROM onceward.call r WHERE r.undoes = c.id AND r.state NOT IN ('failed', 'cancelled')) AS undone
  FROM onceward.call c JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation)
  LEFT JOIN onceward.operation u ON (u.provider, u.name) = (o.provider, o.undo)
 WHERE c.id = %(id)s
