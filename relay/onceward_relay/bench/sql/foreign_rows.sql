-- Whether the outbox holds anything that no benchmark wrote.
SELECT EXISTS (SELECT FROM onceward.outbox WHERE topic NOT LIKE %(prefix)s || '%%')
