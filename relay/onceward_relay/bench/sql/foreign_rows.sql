-- Whether outbox or inbox holds anything that no benchmark wrote.
SELECT EXISTS (SELECT FROM onceward.outbox WHERE topic NOT LIKE %(prefix)s || '%%')
    OR EXISTS (SELECT FROM onceward.inbox WHERE consumer NOT LIKE %(prefix)s || '%%')
