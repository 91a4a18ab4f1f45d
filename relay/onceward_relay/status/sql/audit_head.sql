-- Number and hash of the audit's newest entry.
SELECT (SELECT no || ':' || hash FROM onceward.audit_head()) AS head
