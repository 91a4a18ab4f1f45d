-- Whether outbox, inbox or ledger hold anything that no benchmark wrote.
SELECT EXISTS (SELECT FROM onceward.outbox WHERE topic NOT LIKE %(prefix)s || '%%')
    OR EXISTS (SELECT FROM onceward.inbox WHERE consumer NOT LIKE %(prefix)s || '%%')
    OR EXISTS (SELECT FROM onceward.flow WHERE name NOT LIKE %(prefix)s || '%%')
    OR EXISTS (SELECT FROM onceward.call WHERE provider NOT LIKE %(prefix)s || '%%')
