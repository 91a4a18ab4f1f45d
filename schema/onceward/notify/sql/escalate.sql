-- Raises every open incident to the step that its age has reached, or the last one where a way out is about to be lost, and writes one
-- notification for each group and channel. A group that was just told of a step waits until it has been quiet for a while.
WITH due AS (
  SELECT i.*, reached.step
    FROM onceward.incident i
   CROSS JOIN LATERAL (
     SELECT CASE WHEN i.act_before - CAST(:urgent AS interval) <= statement_timestamp() THEN cardinality(CAST(:steps AS interval[]))
            ELSE (SELECT count(*) FROM unnest(CAST(:steps AS interval[])) age WHERE i.opened_at + age <= statement_timestamp()) END AS step) reached
   WHERE i.closed_at IS NULL AND i.escalated < 3 AND i.escalated < reached.step
     AND (i.snoozed_until IS NULL OR i.snoozed_until <= statement_timestamp())
     AND NOT EXISTS (SELECT FROM onceward.notification n
                      WHERE left(n.grp, 200) = left(i.grp, 200) AND n.grp = i.grp AND n.step >= reached.step
                        AND n.created_at > statement_timestamp() - CAST(:quiet AS interval))
     FOR UPDATE OF i SKIP LOCKED
), raised AS (
  UPDATE onceward.incident i SET escalated = due.step FROM due WHERE i.id = due.id
), sums AS (
  SELECT grp, jsonb_object_agg(currency, amount::text) AS amounts
    FROM (SELECT grp, currency, trim_scale(sum(amount)) AS amount FROM due WHERE currency IS NOT NULL GROUP BY grp, currency) each
   GROUP BY grp
), told AS (
  SELECT due.grp, max(due.step) AS step,
         jsonb_build_object('group', due.grp, 'step', max(due.step), 'kinds', jsonb_agg(DISTINCT due.kind), 'severity', min(due.severity),
           'incidents', count(*), 'oldest', min(due.opened_at), 'act_before', min(due.act_before), 'amounts', coalesce(sums.amounts, '{}')) AS body
    FROM due LEFT JOIN sums USING (grp) GROUP BY due.grp, sums.amounts
)
INSERT INTO onceward.notification (channel, grp, step, body)
SELECT channel.name, told.grp, told.step, told.body || jsonb_build_object('participant', CAST(:participant AS text))
  FROM told JOIN unnest(CAST(:channels AS text[]), CAST(:from_steps AS integer[])) AS channel (name, from_step) ON channel.from_step <= told.step
RETURNING channel, grp
