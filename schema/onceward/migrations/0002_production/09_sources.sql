-- What a relay that is older than this schema goes by.

CREATE FUNCTION onceward.oldest_relay() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$ SELECT '0002' $$;
COMMENT ON FUNCTION onceward.oldest_relay() IS
  'The oldest revision whose relay may work with this schema. A later revision leaves it as it is, unless such a relay would do wrong.';

REVOKE ALL ON FUNCTION onceward.oldest_relay() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.oldest_relay() TO onceward_relay;
