-- A person's bulk, with how many of its items are in each state, and where they are.
SELECT b.*, clock_timestamp() AS now, b.state = 'frozen' AND b.expires_at <= clock_timestamp() AS expired,
       (SELECT jsonb_object_agg(n.state, n.number)
          FROM (SELECT i.state, count(*) AS number FROM onceward_console.bulk_item i WHERE i.bulk_id = b.id GROUP BY i.state) n) AS numbers,
       (SELECT array_agg(DISTINCT i.participant) FROM onceward_console.bulk_item i WHERE i.bulk_id = b.id) AS places
  FROM onceward_console.bulk b WHERE b.id = %(id)s AND b.person_id = %(person)s
