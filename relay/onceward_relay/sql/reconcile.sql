-- A person lets everything be sent again that is present, but for the topics to skip.
SELECT onceward.reconcile(%(actor)s, %(reason)s, %(anyway)s, %(skip)s::text[]) AS done
