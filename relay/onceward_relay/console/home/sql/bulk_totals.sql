-- The money at stake of what is possible, for each currency: amounts of two are never added.
SELECT currency, trim_scale(sum(amount)) AS amount FROM onceward_console.bulk_item
 WHERE bulk_id = %(id)s AND state <> 'impossible' AND amount IS NOT NULL GROUP BY currency ORDER BY currency
