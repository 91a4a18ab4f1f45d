-- The revision of the schema.
SELECT max(version_num) FROM onceward.schema_version
