-- What metrics tell of flows, beside the calls.

CREATE INDEX flow_undone ON onceward.flow (ended_at) WHERE state = 'undone';

CREATE OR REPLACE FUNCTION onceward.ledger_figures() RETURNS TABLE (figure text, provider text, currency text, value numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH open AS (
    SELECT c.id, c.provider, c.state, c.amount, c.currency, c.due_at, coalesce(c.first_sent_at, c.created_at) AS since
      FROM onceward.call c WHERE c.settled_at IS NULL
  )
  SELECT 'calls_' || o.state, o.provider, NULL, count(*) FROM open o GROUP BY o.state, o.provider
  UNION ALL
  SELECT 'oldest_' || o.state || '_seconds', o.provider, NULL, round(extract(epoch FROM clock_timestamp() - min(o.since)), 3)
    FROM open o GROUP BY o.state, o.provider
  UNION ALL
  SELECT 'money_in_doubt', o.provider, o.currency::text, trim_scale(sum(o.amount)) FROM open o
   WHERE o.state = 'in_doubt' AND o.currency IS NOT NULL GROUP BY o.provider, o.currency
  UNION ALL
  SELECT 'stopped', p.name, NULL, (p.stopped_at IS NOT NULL)::integer FROM onceward.provider p
  UNION ALL
  SELECT 'forgotten', NULL, NULL, count(*) FROM open o
   WHERE o.due_at IS NULL AND NOT EXISTS (SELECT FROM onceward.incident i WHERE coalesce(i.call_id, i.flow_id, i.message_id) = o.id AND i.closed_at IS NULL)
  UNION ALL
  SELECT 'flows_' || f.state, NULL, NULL, count(*) FROM onceward.flow f WHERE f.ended_at IS NULL GROUP BY f.state
  UNION ALL
  SELECT 'flows_undone', NULL, NULL, count(*) FROM onceward.flow f WHERE f.state = 'undone' AND f.ended_at > clock_timestamp() - interval '1 day'
  UNION ALL
  SELECT 'messages_without_flow', NULL, NULL, count(*) FROM onceward.signal s WHERE s.flowless AND s.taken_by IS NULL
$$;
COMMENT ON FUNCTION onceward.ledger_figures() IS
  'Figures of the calls that are not settled: calls_STATE and oldest_STATE_seconds for each provider, money_in_doubt for each provider and currency, never added across currencies; stopped, 1 for a provider that is; forgotten, calls that nothing automatic and no person is at: always 0. Of flows: flows_STATE, of those that have not ended; flows_undone, in the last 24 hours; messages_without_flow, which wait for one that nobody has started.';
