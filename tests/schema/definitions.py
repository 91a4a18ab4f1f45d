"""All that PostgreSQL's catalogues say of the schema, to compare two databases of one server."""

import psycopg

DEFINITIONS = """
WITH relation AS (SELECT * FROM pg_class WHERE relnamespace = 'onceward'::regnamespace),
     attribute AS (SELECT c.relname, a.* FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid)
SELECT concat_ws('|', 'schema', nspowner::regrole, nspacl, obj_description(oid)) FROM pg_namespace
 WHERE nspname = 'onceward'
UNION ALL
SELECT concat_ws('|', 'relation', relkind, relname, relowner::regrole, relacl, reloptions, relpersistence,
                 pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid), obj_description(oid)) FROM relation
UNION ALL
SELECT concat_ws('|', 'column', a.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                 a.attidentity, a.attgenerated, a.attcollation, a.attstorage, a.attacl,
                 pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum))
  FROM attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT concat_ws('|', 'domain', typname, format_type(typbasetype, typtypmod), typnotnull, typowner::regrole, typacl,
                 obj_description(oid)) FROM pg_type WHERE typnamespace = 'onceward'::regnamespace AND typtype = 'd'
UNION ALL
SELECT concat_ws('|', 'constraint', conrelid::regclass, contypid::regtype, conname, pg_get_constraintdef(oid)) FROM pg_constraint
 WHERE connamespace = 'onceward'::regnamespace
UNION ALL
SELECT concat_ws('|', 'index', pg_get_indexdef(indexrelid)) FROM pg_index JOIN relation ON relation.oid = indrelid
UNION ALL
SELECT concat_ws('|', 'trigger', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t
  JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT concat_ws('|', 'sequence', seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqcache, seqcycle)
  FROM pg_sequence JOIN relation ON relation.oid = seqrelid
UNION ALL
SELECT concat_ws('|', 'function', pg_get_functiondef(oid), proowner::regrole, proacl, obj_description(oid)) FROM pg_proc
 WHERE pronamespace = 'onceward'::regnamespace
UNION ALL
SELECT concat_ws('|', 'version', version_num) FROM onceward.schema_version
"""


def definitions(url: str) -> list[str]:
    """Return a line for each thing, in order."""
    with psycopg.connect(url) as connection:
        lines = [line for (line,) in connection.execute(DEFINITIONS)]
    assert len(lines) > 400, "the catalogues could not be read"
    return sorted(lines)
