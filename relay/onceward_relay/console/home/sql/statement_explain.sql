-- Another reading has another batch: what was decided by one is never mixed with what is decided by the other.
UPDATE onceward_console.statement
   SET columns = %(columns)s, batch_id = CASE WHEN %(found)s THEN gen_random_uuid() END, matched_at = CASE WHEN %(found)s THEN clock_timestamp() END
 WHERE id = %(id)s AND began_at IS NULL
