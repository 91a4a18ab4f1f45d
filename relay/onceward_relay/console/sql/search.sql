-- All that goes by this text: calls, flows, incidents, messages and decisions, in the order of time. Each kind is found by an index, and shows at most so many.
WITH RECURSIVE flow_names AS (
  (SELECT f.name FROM onceward.flow f ORDER BY f.name LIMIT 1)
  UNION ALL
  SELECT (SELECT f.name FROM onceward.flow f WHERE f.name > n.name ORDER BY f.name LIMIT 1) FROM flow_names n WHERE n.name IS NOT NULL
), consumers AS (
  (SELECT i.consumer FROM onceward.inbox i ORDER BY i.consumer LIMIT 1)
  UNION ALL
  SELECT (SELECT i.consumer FROM onceward.inbox i WHERE i.consumer > n.consumer ORDER BY i.consumer LIMIT 1) FROM consumers n WHERE n.consumer IS NOT NULL
), hit_call AS (
  (SELECT c.id, 'reference' AS by FROM onceward.call c WHERE c.ref = %(text)s LIMIT %(most)s)
  UNION ALL
  (SELECT c.id, 'key' FROM onceward.operation o CROSS JOIN LATERAL
     (SELECT c.id FROM onceward.call c WHERE c.provider = o.provider AND c.operation = o.name AND c.key = %(text)s COLLATE "C" LIMIT 1) c)
  UNION ALL
  (SELECT c.id, 'provider''s reference' FROM onceward.provider p CROSS JOIN LATERAL
     (SELECT c.id FROM onceward.call c WHERE c.provider = p.name AND left(c.provider_ref, 200) = left(%(text)s, 200) AND c.provider_ref = %(text)s LIMIT %(most)s) c)
  UNION ALL
  (SELECT c.id, 'id' FROM onceward.call c WHERE c.id = %(id)s)
), hit_flow AS (
  (SELECT f.id, 'key' AS by FROM flow_names n CROSS JOIN LATERAL (SELECT f.id FROM onceward.flow f WHERE f.name = n.name AND f.key = %(text)s LIMIT 1) f)
  UNION ALL
  (SELECT f.id, 'id' FROM onceward.flow f WHERE f.id = %(id)s)
  UNION ALL
  (SELECT f.id, 'message' FROM onceward.flow f WHERE f.message_id = %(id)s LIMIT %(most)s)
  UNION ALL
  (SELECT c.flow_id, 'its call' FROM hit_call h JOIN onceward.call c ON c.id = h.id WHERE c.flow_id IS NOT NULL)
), a_flow AS (
  SELECT DISTINCT ON (h.id) h.id, h.by FROM hit_flow h ORDER BY h.id, h.by = 'its call' LIMIT %(most)s
), a_call AS (
  SELECT DISTINCT ON (h.id) h.id, h.by
    FROM (SELECT h.id, h.by FROM hit_call h
          UNION ALL
          SELECT c.id, 'its flow' FROM a_flow f CROSS JOIN LATERAL (SELECT c.id FROM onceward.call c WHERE c.flow_id = f.id LIMIT %(most)s) c) h
   ORDER BY h.id, h.by = 'its flow' LIMIT %(most)s
), subjects AS (
  SELECT id FROM a_call UNION SELECT id FROM a_flow UNION SELECT %(id)s::uuid WHERE %(id)s::uuid IS NOT NULL
), a_message AS (
  SELECT %(id)s::uuid AS id WHERE %(id)s::uuid IS NOT NULL
  UNION
  SELECT f.message_id FROM a_flow a JOIN onceward.flow f ON f.id = a.id WHERE f.message_id IS NOT NULL
), found AS (
  SELECT 'call' AS kind, c.id::text AS id, c.provider || '/' || c.operation AS title, c.state, c.ref, c.amount, c.currency, c.created_at AS at, a.by, 'calls' AS pages, c.id AS page
    FROM a_call a CROSS JOIN LATERAL
      (SELECT c.id, c.provider, c.operation, c.state, c.ref, c.amount, c.currency, c.created_at FROM onceward.call c WHERE c.id = a.id LIMIT 1) c
  UNION ALL
  SELECT 'flow', f.id::text, f.name || ' ' || f.key, f.state, NULL, NULL, NULL, f.created_at, a.by, 'flows', f.id
    FROM a_flow a CROSS JOIN LATERAL (SELECT f.id, f.name, f.key, f.state, f.created_at FROM onceward.flow f WHERE f.id = a.id LIMIT 1) f
  UNION ALL
  (SELECT DISTINCT ON (i.id) 'incident', i.id::text, i.title, CASE WHEN i.closed_at IS NULL THEN 'open' ELSE 'closed' END, i.ref, i.amount, i.currency, i.opened_at, 'its subject',
          CASE WHEN i.call_id IS NOT NULL THEN 'calls' ELSE 'flows' END, coalesce(i.call_id, i.flow_id)
     FROM (SELECT i.* FROM onceward.incident i WHERE i.ref = %(text)s AND i.ref IS NOT NULL AND i.closed_at IS NULL
           UNION ALL
           SELECT i.* FROM subjects s CROSS JOIN LATERAL
             (SELECT i.* FROM onceward.incident i WHERE coalesce(i.call_id, i.flow_id, i.message_id) = s.id ORDER BY i.opened_at LIMIT %(most)s) i
           UNION ALL
           SELECT i.* FROM onceward.incident i WHERE i.id = %(id)s) i
    ORDER BY i.id LIMIT %(most)s)
  UNION ALL
  (SELECT 'message in', i.message_id::text, i.consumer, i.state, NULL, NULL, NULL, i.received_at, 'message', NULL, NULL
     FROM a_message m CROSS JOIN consumers n CROSS JOIN LATERAL
       (SELECT i.* FROM onceward.inbox i WHERE i.consumer = n.consumer AND i.message_id = m.id LIMIT 1) i LIMIT %(most)s)
  UNION ALL
  (SELECT DISTINCT ON (p.seq) 'parked message', p.seq::text, format('%%s[%%s]@%%s', p.topic, p.partition, p."offset"), p.state, NULL, NULL, NULL, p.parked_at, 'key or id', NULL, NULL::uuid
     FROM (SELECT p.* FROM a_message m CROSS JOIN LATERAL (SELECT p.* FROM onceward.inbox_parked_shown p WHERE p.message_id = m.id LIMIT %(most)s) p
           UNION ALL
           (SELECT p.* FROM onceward.inbox_parked_shown p WHERE p.key_hash = %(key_hash)s LIMIT %(most)s)) p
    ORDER BY p.seq LIMIT %(most)s)
  UNION ALL
  (SELECT DISTINCT ON (h.id) 'held message', h.id::text, h.topic || ' ' || h.type, h.state, NULL, NULL, NULL, h.held_at, 'key or id', NULL, NULL::uuid
     FROM (SELECT h.* FROM a_message m CROSS JOIN LATERAL (SELECT h.* FROM onceward.held_message_shown h WHERE h.message_id = m.id LIMIT %(most)s) h
           UNION ALL
           (SELECT h.* FROM onceward.held_message_shown h WHERE h.key = %(key)s LIMIT %(most)s)) h
    ORDER BY h.id LIMIT %(most)s)
  UNION ALL
  (SELECT DISTINCT ON (r.id) 'decision', r.id::text, replace(r.verb, '_', ' ') || ' by ' || r.proposed_by, r.state, NULL, r.amount, r.currency, r.proposed_at, 'its subject',
          CASE WHEN r.call_id IS NOT NULL THEN 'calls' ELSE 'flows' END, coalesce(r.call_id, r.flow_id)
     FROM (SELECT r.* FROM subjects s CROSS JOIN LATERAL
             (SELECT r.id, r.verb, r.proposed_by, r.state, r.amount, r.currency, r.proposed_at, r.call_id, r.flow_id FROM onceward.resolution r
               WHERE coalesce(r.call_id, r.flow_id) = s.id LIMIT %(most)s) r
           UNION ALL
           SELECT r.id, r.verb, r.proposed_by, r.state, r.amount, r.currency, r.proposed_at, r.call_id, r.flow_id FROM onceward.resolution r WHERE r.id = %(id)s) r
    ORDER BY r.id LIMIT %(most)s)
)
SELECT f.* FROM found f ORDER BY f.at, f.kind, f.id
