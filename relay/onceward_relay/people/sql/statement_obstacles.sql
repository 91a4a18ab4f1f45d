-- What keeps decisions from being proposed now.
SELECT d.call_id, v.why FROM unnest(%(calls)s::uuid[], %(verbs)s::text[]) AS d (call_id, verb), LATERAL onceward.verbs_of_call(d.call_id) v
 WHERE v.verb = d.verb AND NOT v.allowed
