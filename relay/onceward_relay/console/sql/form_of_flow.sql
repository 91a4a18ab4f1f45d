-- What the form of a verb has to know of a flow beside the flow: who has to agree, and the money at stake, that of its largest call if all are in one currency.
SELECT onceward.is_solo() AS solo,
       (SELECT jsonb_object_agg(verb, onceward.approvals_needed(verb, f.id, NULL, NULL, NULL)) FROM unnest(ARRAY['undo', 'close']) verb) AS approvals,
       m.amount, m.currency
  FROM onceward.flow f,
       LATERAL (SELECT CASE WHEN count(DISTINCT c.currency) = 1 THEN max(c.amount) END AS amount, CASE WHEN count(DISTINCT c.currency) = 1 THEN min(c.currency) END AS currency
                  FROM onceward.call c WHERE c.flow_id = f.id AND c.undoes IS NULL AND c.state = 'succeeded') m
 WHERE f.id = %(id)s
