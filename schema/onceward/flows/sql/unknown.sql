-- Flows that are due and whose code this program does not have.
SELECT name, count(*) AS number FROM onceward.flow
 WHERE due_at <= statement_timestamp() AND paused_at IS NULL AND name <> ALL(:names) GROUP BY name ORDER BY name
