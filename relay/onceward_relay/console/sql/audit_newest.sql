SELECT no, hash FROM onceward.audit_head()
