-- The console's own database. Everything stands in a schema of its own, so that it may share a database.

CREATE TABLE onceward_console.person (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  name text NOT NULL CHECK (name ~ '^[^[:cntrl:]]{1,100}$' AND name = btrim(name)),
  issuer text NOT NULL CHECK (issuer <> ''),
  subject text NOT NULL CHECK (subject <> ''),
  password text,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  disabled_at timestamptz,
  UNIQUE (issuer, subject)
);
CREATE UNIQUE INDEX person_name ON onceward_console.person (lower(regexp_replace(name, '[[:space:]]+', ' ', 'g')));
COMMENT ON TABLE onceward_console.person IS 'People. Who is who is told by issuer and subject; the name is given once and stays, for decisions of two people compare names.';
COMMENT ON COLUMN onceward_console.person.id IS 'Identity.';
COMMENT ON COLUMN onceward_console.person.name IS 'How the person is called in decisions and in the audit.';
COMMENT ON COLUMN onceward_console.person.issuer IS 'Who vouches for the person: the issuer of OpenID Connect, local for users of the console''s own, machine where nobody logs in.';
COMMENT ON COLUMN onceward_console.person.subject IS 'The person''s identity there.';
COMMENT ON COLUMN onceward_console.person.password IS 'argon2 hash, of local users.';
COMMENT ON COLUMN onceward_console.person.created_at IS 'When first seen.';
COMMENT ON COLUMN onceward_console.person.disabled_at IS 'Since when the person may not enter.';

CREATE TABLE onceward_console.permission (
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
  permission text NOT NULL CHECK (permission IN ('look', 'reveal', 'act', 'approve', 'manage')),
  PRIMARY KEY (role, permission)
);
INSERT INTO onceward_console.permission (role, permission) VALUES
  ('viewer', 'look'),
  ('operator', 'look'), ('operator', 'reveal'), ('operator', 'act'),
  ('approver', 'look'), ('approver', 'reveal'), ('approver', 'act'), ('approver', 'approve'),
  ('admin', 'look'), ('admin', 'reveal'), ('admin', 'act'), ('admin', 'approve'), ('admin', 'manage');
COMMENT ON TABLE onceward_console.permission IS 'What a role may do: look; reveal contents; act, which is to take, to ask and to propose; approve; manage providers, rules and people.';
COMMENT ON COLUMN onceward_console.permission.role IS 'The role.';
COMMENT ON COLUMN onceward_console.permission.permission IS 'What it may do.';

CREATE TABLE onceward_console.person_role (
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  participant text NOT NULL CHECK (participant <> ''),
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
  given_by text NOT NULL CHECK (given_by <> ''),
  given_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (person_id, participant, role)
);
COMMENT ON TABLE onceward_console.person_role IS 'Roles of people, at one participant or, with *, at all.';
COMMENT ON COLUMN onceward_console.person_role.person_id IS 'Who.';
COMMENT ON COLUMN onceward_console.person_role.participant IS 'Where; * stands for every participant, and for what belongs to none.';
COMMENT ON COLUMN onceward_console.person_role.role IS 'As what.';
COMMENT ON COLUMN onceward_console.person_role.given_by IS 'Who gave it; oidc: it follows from the person''s groups and is set anew at each log-in.';
COMMENT ON COLUMN onceward_console.person_role.given_at IS 'When.';

CREATE TABLE onceward_console.session (
  token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  form_token text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX session_expires ON onceward_console.session (expires_at);
CREATE INDEX session_of ON onceward_console.session (person_id);
COMMENT ON TABLE onceward_console.session IS 'Who is logged in. The cookie holds the token, this table its hash.';
COMMENT ON COLUMN onceward_console.session.token_sha256 IS 'SHA-256 of the token.';
COMMENT ON COLUMN onceward_console.session.person_id IS 'Whose.';
COMMENT ON COLUMN onceward_console.session.form_token IS 'What each form of this session carries, so that no other site''s form counts.';
COMMENT ON COLUMN onceward_console.session.created_at IS 'When logged in.';
COMMENT ON COLUMN onceward_console.session.seen_at IS 'Last use, to the minute.';
COMMENT ON COLUMN onceward_console.session.expires_at IS 'When it ends at the latest.';

CREATE TABLE onceward_console.denied (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  person text NOT NULL,
  address text,
  action text NOT NULL,
  participant text,
  subject text,
  reason text NOT NULL
);
CREATE INDEX denied_at ON onceward_console.denied (at);
COMMENT ON TABLE onceward_console.denied IS 'What somebody tried and may not do: a page, a verb, a log-in.';
COMMENT ON COLUMN onceward_console.denied.no IS 'Order.';
COMMENT ON COLUMN onceward_console.denied.at IS 'When.';
COMMENT ON COLUMN onceward_console.denied.person IS 'Who, as far as is known.';
COMMENT ON COLUMN onceward_console.denied.address IS 'From where.';
COMMENT ON COLUMN onceward_console.denied.action IS 'What.';
COMMENT ON COLUMN onceward_console.denied.participant IS 'At which participant.';
COMMENT ON COLUMN onceward_console.denied.subject IS 'About what.';
COMMENT ON COLUMN onceward_console.denied.reason IS 'Why not.';

CREATE TABLE onceward_console.saved_view (
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  name text NOT NULL CHECK (length(btrim(name)) BETWEEN 1 AND 60),
  query text NOT NULL CHECK (length(query) <= 2000),
  saved_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (person_id, name)
);
COMMENT ON TABLE onceward_console.saved_view IS 'Filters of the worklist that a person keeps.';
COMMENT ON COLUMN onceward_console.saved_view.person_id IS 'Whose.';
COMMENT ON COLUMN onceward_console.saved_view.name IS 'What it is called.';
COMMENT ON COLUMN onceward_console.saved_view.query IS 'The query of its URL.';
COMMENT ON COLUMN onceward_console.saved_view.saved_at IS 'When.';

CREATE FUNCTION onceward_console.may(person uuid, participant text, permission text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM onceward_console.person_role r
      JOIN onceward_console.permission p ON p.role = r.role AND p.permission = may.permission
      JOIN onceward_console.person h ON h.id = r.person_id AND h.disabled_at IS NULL
     WHERE r.person_id = may.person AND r.participant IN ('*', may.participant))
$$;
COMMENT ON FUNCTION onceward_console.may(uuid, text, text) IS 'Whether a person may do something at a participant; at * what belongs to none.';

CREATE FUNCTION onceward_console.visit(token_sha256 bytea, participants text[], idle interval, used boolean DEFAULT true)
RETURNS TABLE (person_id uuid, person text, form_token text, expires_at timestamptz, rights jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE onceward_console.session s SET seen_at = clock_timestamp()
   WHERE visit.used AND s.token_sha256 = visit.token_sha256 AND s.seen_at < clock_timestamp() - interval '1 min'
     AND s.seen_at > clock_timestamp() - visit.idle AND s.expires_at > clock_timestamp();
  RETURN QUERY
    SELECT h.id, h.name, s.form_token, s.expires_at,
           -- What may() says of each place, asked once and not of each permission: a console may have two hundred participants.
           (SELECT jsonb_object_agg(place, coalesce((SELECT jsonb_agg(DISTINCT p.permission) FROM onceward_console.person_role r JOIN onceward_console.permission p ON p.role = r.role
                                                      WHERE r.person_id = h.id AND r.participant IN ('*', place)), '[]'))
              FROM unnest(visit.participants || '*'::text) place)
      FROM onceward_console.session s JOIN onceward_console.person h ON h.id = s.person_id
     WHERE s.token_sha256 = visit.token_sha256 AND s.expires_at > clock_timestamp() AND s.seen_at > clock_timestamp() - visit.idle AND h.disabled_at IS NULL;
END $$;
COMMENT ON FUNCTION onceward_console.visit(bytea, text[], interval, boolean) IS
  'Who a session belongs to and what that person may do at each of the participants, and at *; used: somebody does something, so that the session does not idle. No row: it has ended, was idle for too long, or the person may not enter any more.';
