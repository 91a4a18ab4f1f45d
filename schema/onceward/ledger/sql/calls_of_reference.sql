SELECT c.id FROM onceward.call c WHERE c.provider = :provider AND left(c.provider_ref, 200) = left(:reference, 200) AND c.provider_ref = :reference
UNION
SELECT e.call_id FROM onceward.evidence e
 WHERE e.kind = 'late_answer' AND e.provider = :provider AND left(e.reference, 200) = left(:reference, 200) AND e.reference = :reference
