-- One call with its operation's terms, for the command line.
SELECT c.*, clock_timestamp() AS now, o.repeat, o.key_lifetime, o.replays, o.rejects_final, o.lookup, o.settle_delay, o.timeout, o.shown,
       (SELECT count(*) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict = 'unknown')) AS sends,
       (SELECT a.verdict FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send' ORDER BY a.no DESC LIMIT 1) AS last_verdict,
       (SELECT json_agg(v) FROM onceward.verbs_of_call(c.id) v) AS verbs,
       f.name AS flow_name, f.key AS flow_key, f.state AS flow_state,
       (SELECT i.title FROM onceward.incident i
         WHERE coalesce(i.call_id, i.flow_id, i.message_id) = c.id AND i.kind = 'in_doubt' AND i.closed_at IS NULL) AS in_doubt_because
  FROM onceward.call_shown c JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation) LEFT JOIN onceward.flow f ON f.id = c.flow_id
 WHERE c.id = %(id)s
