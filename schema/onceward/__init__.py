"""Transactional outbox and inbox, ledger of external calls, and flows, in a participant's own PostgreSQL database."""
