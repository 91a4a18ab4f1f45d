-- The providers of which a statement can be uploaded.
SELECT p.name FROM onceward.provider p ORDER BY p.name
