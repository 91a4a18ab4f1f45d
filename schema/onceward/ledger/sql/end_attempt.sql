-- late: the call has passed to another epoch, or is settled.
UPDATE onceward.attempt a SET ended_at = clock_timestamp(), verdict = :verdict, http_status = :http_status, detail = :detail, answer = :answer, answer_sha256 = :answer_sha256,
       late = NOT EXISTS (SELECT FROM onceward.call c WHERE c.id = a.call_id AND c.epoch = a.epoch AND c.settled_at IS NULL)
 WHERE call_id = :id AND no = :no AND ended_at IS NULL
