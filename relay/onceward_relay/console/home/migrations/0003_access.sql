-- How people come in, and the tokens by which their programs do.

CREATE TABLE onceward_console.login_attempt (
  kind text NOT NULL CHECK (kind IN ('name', 'address', 'device')),
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  last_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (kind, sha256)
);
CREATE INDEX login_attempt_last ON onceward_console.login_attempt (last_at);
COMMENT ON TABLE onceward_console.login_attempt IS 'Log-ins that have failed of late, by whom they were tried for and from where: so that nobody guesses many passwords.';
COMMENT ON COLUMN onceward_console.login_attempt.kind IS 'What they have in common: the name, the address, or the browser in which this person has logged in before.';
COMMENT ON COLUMN onceward_console.login_attempt.sha256 IS 'Hash of it: people type passwords where their name belongs.';
COMMENT ON COLUMN onceward_console.login_attempt.failures IS 'How many; one that is under way counts.';
COMMENT ON COLUMN onceward_console.login_attempt.last_at IS 'The last of them.';

CREATE TABLE onceward_console.login_device (
  token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  used_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX login_device_of ON onceward_console.login_device (person_id);
CREATE INDEX login_device_used ON onceward_console.login_device (used_at);
COMMENT ON TABLE onceward_console.login_device IS 'Browsers in which somebody has logged in: whoever guesses at this person''s password elsewhere does not keep them out.';
COMMENT ON COLUMN onceward_console.login_device.token_sha256 IS 'SHA-256 of the token in its cookie.';
COMMENT ON COLUMN onceward_console.login_device.person_id IS 'Who.';
COMMENT ON COLUMN onceward_console.login_device.used_at IS 'The last log-in.';

CREATE TABLE onceward_console.login_pending (
  state_sha256 bytea PRIMARY KEY CHECK (octet_length(state_sha256) = 32),
  browser_sha256 bytea NOT NULL CHECK (octet_length(browser_sha256) = 32),
  nonce text NOT NULL,
  verifier text NOT NULL,
  goes_to text NOT NULL CHECK (length(goes_to) <= 4000),
  began_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX login_pending_began ON onceward_console.login_pending (began_at);
COMMENT ON TABLE onceward_console.login_pending IS 'Log-ins for which somebody is at the OpenID provider now. Each counts once, in the browser in which it began, for ten minutes.';
COMMENT ON COLUMN onceward_console.login_pending.state_sha256 IS 'SHA-256 of the state that the provider sends back.';
COMMENT ON COLUMN onceward_console.login_pending.browser_sha256 IS 'SHA-256 of the token in the browser''s cookie.';
COMMENT ON COLUMN onceward_console.login_pending.nonce IS 'What the ID token has to hold.';
COMMENT ON COLUMN onceward_console.login_pending.verifier IS 'What proves that the code is asked for by who began.';
COMMENT ON COLUMN onceward_console.login_pending.goes_to IS 'The page to open then.';
COMMENT ON COLUMN onceward_console.login_pending.began_at IS 'When it began.';

CREATE TABLE onceward_console.api_token (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  name text NOT NULL CHECK (length(btrim(name)) BETWEEN 1 AND 60),
  participant text NOT NULL CHECK (participant <> ''),
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  revoked_at timestamptz,
  CHECK (expires_at > created_at AND expires_at <= created_at + interval '366 days')
);
CREATE INDEX api_token_of ON onceward_console.api_token (person_id, created_at);
COMMENT ON TABLE onceward_console.api_token IS 'What programs show to act as a person: never more than the person may at that moment, and never more than the token''s role.';
COMMENT ON COLUMN onceward_console.api_token.id IS 'Identity.';
COMMENT ON COLUMN onceward_console.api_token.token_sha256 IS 'SHA-256 of the token, which nobody but its owner has.';
COMMENT ON COLUMN onceward_console.api_token.person_id IS 'On whose behalf.';
COMMENT ON COLUMN onceward_console.api_token.name IS 'What it is for.';
COMMENT ON COLUMN onceward_console.api_token.participant IS 'Where it counts; * stands for every participant.';
COMMENT ON COLUMN onceward_console.api_token.role IS 'What it may do at most.';
COMMENT ON COLUMN onceward_console.api_token.created_at IS 'When it was made.';
COMMENT ON COLUMN onceward_console.api_token.expires_at IS 'When it ends; a year later at most.';
COMMENT ON COLUMN onceward_console.api_token.used_at IS 'Last use, to the minute.';
COMMENT ON COLUMN onceward_console.api_token.revoked_at IS 'Since when it counts no more.';

CREATE FUNCTION onceward_console.try_login(kinds text[], hashes bytea[]) RETURNS interval
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  waits interval;
BEGIN
  DELETE FROM onceward_console.login_attempt a
   WHERE (a.kind, a.sha256) IN (SELECT o.kind, o.sha256 FROM onceward_console.login_attempt o WHERE o.last_at < clock_timestamp() - interval '1 day' LIMIT 100 FOR UPDATE SKIP LOCKED);
  INSERT INTO onceward_console.login_attempt (kind, sha256) SELECT t.kind, t.hash FROM unnest(try_login.kinds, try_login.hashes) t (kind, hash) ORDER BY 1, 2
  ON CONFLICT DO NOTHING;
  PERFORM FROM onceward_console.login_attempt a WHERE (a.kind, a.sha256) IN (SELECT * FROM unnest(try_login.kinds, try_login.hashes)) ORDER BY a.kind, a.sha256 FOR UPDATE;
  SELECT max(a.last_at + least(interval '5 s' * power(2, least(a.failures - f.free, 20)), interval '15 min') - clock_timestamp()) INTO waits
    FROM onceward_console.login_attempt a, LATERAL (SELECT CASE a.kind WHEN 'address' THEN 20 ELSE 5 END) f (free)
   WHERE (a.kind, a.sha256) IN (SELECT * FROM unnest(try_login.kinds, try_login.hashes)) AND a.failures >= f.free;
  IF waits > interval '0' THEN
    RETURN waits;
  END IF;
  UPDATE onceward_console.login_attempt a SET failures = a.failures + 1, last_at = clock_timestamp()
   WHERE (a.kind, a.sha256) IN (SELECT * FROM unnest(try_login.kinds, try_login.hashes));
  RETURN interval '0';
END $$;
COMMENT ON FUNCTION onceward_console.try_login(text[], bytea[]) IS
  'Counts an attempt to log in, before it is known whether it fails: many at a time are not more than one after the other. Returns how long to wait; 0: go on. After 5 failures (20 of an address) each wait is twice the one before, from 5 seconds up to 15 minutes; what is tried meanwhile counts not. A day without any forgets them.';

CREATE FUNCTION onceward_console.login_succeeded(kinds text[], hashes bytea[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  UPDATE onceward_console.login_attempt a SET failures = CASE a.kind WHEN 'address' THEN greatest(a.failures - 1, 0) ELSE 0 END
   WHERE (a.kind, a.sha256) IN (SELECT * FROM unnest(login_succeeded.kinds, login_succeeded.hashes))
$$;
COMMENT ON FUNCTION onceward_console.login_succeeded(text[], bytea[]) IS
  'Takes back what try_login has counted. Failures of the address stay: others are behind it too, and one''s own log-in must not make room for guesses.';

CREATE FUNCTION onceward_console.visit_by_token(token_sha256 bytea, participants text[])
RETURNS TABLE (person_id uuid, person text, form_token text, expires_at timestamptz, rights jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE onceward_console.api_token t SET used_at = clock_timestamp()
   WHERE t.token_sha256 = visit_by_token.token_sha256 AND t.expires_at > clock_timestamp() AND t.revoked_at IS NULL
     AND (t.used_at IS NULL OR t.used_at < clock_timestamp() - interval '1 min');
  RETURN QUERY
    SELECT h.id, h.name, ''::text, t.expires_at,
           (SELECT jsonb_object_agg(place, coalesce((SELECT jsonb_agg(p.permission) FROM onceward_console.permission p
                                                      WHERE p.role = t.role AND t.participant IN ('*', place) AND onceward_console.may(h.id, place, p.permission)), '[]'))
              FROM unnest(visit_by_token.participants || '*'::text) place)
      FROM onceward_console.api_token t JOIN onceward_console.person h ON h.id = t.person_id
     WHERE t.token_sha256 = visit_by_token.token_sha256 AND t.expires_at > clock_timestamp() AND t.revoked_at IS NULL AND h.disabled_at IS NULL;
END $$;
COMMENT ON FUNCTION onceward_console.visit_by_token(bytea, text[]) IS
  'On whose behalf a program acts and what it may do at each of the participants, and at *: what the person may and the token''s role too. No row: the token is none, has expired or was revoked, or the person may not enter any more.';

CREATE FUNCTION onceward_console.came_by_oidc(issuer text, subject text, wanted text, roles jsonb) RETURNS TABLE (id uuid, name text, disabled boolean, has_role boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found onceward_console.person;
  suffix text := '';
BEGIN
  SELECT * INTO found FROM onceward_console.person h WHERE (h.issuer, h.subject) = (came_by_oidc.issuer, came_by_oidc.subject) FOR UPDATE;
  IF found.id IS NULL AND came_by_oidc.roles = '[]' THEN
    RETURN;
  END IF;
  FOR number IN 2..10000 LOOP
    EXIT WHEN found.id IS NOT NULL;
    BEGIN
      INSERT INTO onceward_console.person AS h (name, issuer, subject) VALUES (came_by_oidc.wanted || suffix, came_by_oidc.issuer, came_by_oidc.subject)
      ON CONFLICT ON CONSTRAINT person_issuer_subject_key DO UPDATE SET subject = excluded.subject RETURNING h.* INTO found;
    EXCEPTION WHEN unique_violation THEN
      suffix := format(' (%s)', number);
    END;
  END LOOP;
  DELETE FROM onceward_console.person_role r WHERE r.person_id = found.id AND r.given_by = 'oidc';
  INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)
  SELECT DISTINCT found.id, given.participant, given.role, 'oidc' FROM jsonb_to_recordset(came_by_oidc.roles) given (participant text, role text)
  ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT found.id, found.name, found.disabled_at IS NOT NULL, EXISTS (SELECT FROM onceward_console.person_role r WHERE r.person_id = found.id);
END $$;
COMMENT ON FUNCTION onceward_console.came_by_oidc(text, text, text, jsonb) IS
  'Who has come from an OpenID provider, with the roles that follow from the groups of today; the name is given at the first time, with a number if it is taken. No row: unknown, and without any role.';

CREATE FUNCTION onceward_console.keeps_an_admin() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM onceward_console.person_role r JOIN onceward_console.person h ON h.id = r.person_id
                  WHERE r.role = 'admin' AND r.participant = '*' AND h.disabled_at IS NULL) THEN
    RAISE EXCEPTION 'nobody would be left who may manage people' USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Make somebody else an admin of * first.';
  END IF;
END $$;
COMMENT ON FUNCTION onceward_console.keeps_an_admin() IS 'Raises 55000 if nobody is an admin at * who may enter. Called at the end of what takes a right away, under the lock of person_role.';

CREATE FUNCTION onceward_console.give_role(person uuid, participant text, role text, actor text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO onceward_console.person_role AS r (person_id, participant, role, given_by) VALUES (give_role.person, give_role.participant, give_role.role, give_role.actor)
  ON CONFLICT (person_id, participant, role) DO UPDATE SET given_by = excluded.given_by, given_at = clock_timestamp() WHERE r.given_by = 'oidc'
$$;
COMMENT ON FUNCTION onceward_console.give_role(uuid, text, text, text) IS 'Gives a person a role, which then stays whatever groups say.';

CREATE FUNCTION onceward_console.take_role(person uuid, participant text, role text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE onceward_console.person_role IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM onceward_console.person_role r WHERE (r.person_id, r.participant, r.role) = (take_role.person, take_role.participant, take_role.role);
  PERFORM onceward_console.keeps_an_admin();
END $$;
COMMENT ON FUNCTION onceward_console.take_role(uuid, text, text) IS 'Takes a role from a person. Raises 55000 if nobody would be left who may manage people.';

CREATE FUNCTION onceward_console.disable(person uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE onceward_console.person_role IN SHARE ROW EXCLUSIVE MODE;
  UPDATE onceward_console.person h SET disabled_at = clock_timestamp() WHERE h.id = disable.person AND h.disabled_at IS NULL;
  DELETE FROM onceward_console.session s WHERE s.person_id = disable.person;
  PERFORM onceward_console.keeps_an_admin();
END $$;
COMMENT ON FUNCTION onceward_console.disable(uuid) IS 'Lets a person enter no more, at once. Raises 55000 if nobody would be left who may manage people.';
