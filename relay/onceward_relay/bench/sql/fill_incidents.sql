-- Incidents: one about each call that is not settled, in fifty groups, and four times as many that are closed, before them.
INSERT INTO onceward.incident (kind, call_id, flow_id, grp, severity, title, ref, amount, currency, opened_at, assignee, escalated, closed_at, closed_by)
SELECT CASE n %% 5 WHEN 0 THEN 'overdue' ELSE 'in_doubt' END, c.id, c.flow_id, format('%%s/pay/code-%%s', c.provider, n %% 50), 1 + n %% 3,
       'the bank may or may not have paid; nothing was sent again', c.ref, c.amount, c.currency, c.created_at, CASE n %% 10 WHEN 0 THEN 'ada' END,
       3, CASE WHEN n <= 4 * %(incidents)s THEN c.created_at + interval '1 h' END, CASE WHEN n <= 4 * %(incidents)s THEN 'ledger' END
  FROM generate_series(1, 5 * %(incidents)s) n,
       LATERAL (SELECT CASE WHEN n <= 4 * %(incidents)s THEN 1 + n %% (%(calls)s - %(incidents)s) ELSE %(calls)s - %(incidents)s + n - 4 * %(incidents)s END AS about) which
  JOIN onceward.call c ON c.id = md5('call ' || about)::uuid
