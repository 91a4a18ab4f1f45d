-- The next item that is due, locked until the end of the transaction.
SELECT (n.bulk).id, (n.bulk).kind, (n.bulk).verb, (n.bulk).reason, (n.item).no, (n.item).participant, (n.item).subject, (n.item).version, (n.item).decision,
       (n.item).amount, n.person, n.may
  FROM onceward_console.next_item() n
