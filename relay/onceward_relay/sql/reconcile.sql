-- A person lets everything be sent again that is present.
SELECT onceward.reconcile(%(actor)s, %(reason)s, %(anyway)s) AS done
