-- What is in the way of a verb, of those for which something is.
SELECT s.id, v.why FROM unnest(%(subjects)s::uuid[]) AS s (id), LATERAL onceward.verbs_of_call(s.id) v WHERE v.verb = %(verb)s AND NOT v.allowed
