-- Statements of providers that people uploaded: kept between preview and decisions, and not for long.

CREATE TABLE onceward_console.statement (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  participant text NOT NULL CHECK (participant <> ''),
  provider text NOT NULL CHECK (provider <> ''),
  operation text CHECK (operation <> ''),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  header text[] NOT NULL CHECK (cardinality(header) > 0),
  columns jsonb NOT NULL,
  batch_id uuid,
  matched_at timestamptz,
  reason text CHECK (length(reason) BETWEEN 10 AND 4000),
  began_at timestamptz,
  stopped_at timestamptz,
  ended_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL,
  CONSTRAINT what_is_matched_has_a_batch CHECK ((matched_at IS NULL) = (batch_id IS NULL)),
  CONSTRAINT what_begins_was_matched_and_has_a_reason CHECK (began_at IS NULL OR (matched_at IS NOT NULL AND reason IS NOT NULL)),
  CONSTRAINT what_ends_had_begun CHECK (began_at IS NOT NULL OR (ended_at IS NULL AND stopped_at IS NULL))
);
CREATE INDEX statement_of ON onceward_console.statement (person_id, created_at);
CREATE INDEX statement_expires ON onceward_console.statement (expires_at);
COMMENT ON TABLE onceward_console.statement IS 'Providers'' statements that people uploaded, and the batch of decisions that each led to. Only its owner sees one.';
COMMENT ON COLUMN onceward_console.statement.id IS 'Identity.';
COMMENT ON COLUMN onceward_console.statement.person_id IS 'Who uploaded it.';
COMMENT ON COLUMN onceward_console.statement.participant IS 'Whose calls it is about.';
COMMENT ON COLUMN onceward_console.statement.provider IS 'Whose statement it is.';
COMMENT ON COLUMN onceward_console.statement.operation IS 'Only calls of this operation are looked at; NULL: of all.';
COMMENT ON COLUMN onceward_console.statement.name IS 'Name of the file.';
COMMENT ON COLUMN onceward_console.statement.header IS 'Names of its columns.';
COMMENT ON COLUMN onceward_console.statement.columns IS 'What they mean.';
COMMENT ON COLUMN onceward_console.statement.batch_id IS 'Of the decisions; made anew with each matching, so that what was decided by another reading is never mixed in.';
COMMENT ON COLUMN onceward_console.statement.matched_at IS 'When its rows were matched with calls.';
COMMENT ON COLUMN onceward_console.statement.reason IS 'Why the decisions are proposed.';
COMMENT ON COLUMN onceward_console.statement.began_at IS 'When the decisions began to be proposed; from then on nothing is matched anew.';
COMMENT ON COLUMN onceward_console.statement.stopped_at IS 'When its owner stopped that; NULL again when it goes on.';
COMMENT ON COLUMN onceward_console.statement.ended_at IS 'When every row had its outcome.';
COMMENT ON COLUMN onceward_console.statement.created_at IS 'When it was uploaded.';
COMMENT ON COLUMN onceward_console.statement.expires_at IS 'When it is forgotten.';

CREATE TABLE onceward_console.statement_row (
  statement_id uuid NOT NULL REFERENCES onceward_console.statement ON DELETE CASCADE,
  line integer NOT NULL CHECK (line > 0),
  cells text[] NOT NULL,
  finding text,
  why text,
  call_id uuid,
  about text,
  item jsonb,
  refused boolean,
  outcome text,
  PRIMARY KEY (statement_id, line),
  CONSTRAINT an_outcome_says_whether_it_was_refused CHECK ((outcome IS NULL) = (refused IS NULL)),
  CONSTRAINT what_is_done_has_an_item CHECK (outcome IS NULL OR item IS NOT NULL)
);
CREATE INDEX statement_row_found ON onceward_console.statement_row (statement_id, finding, line);
CREATE INDEX statement_row_open ON onceward_console.statement_row (statement_id, line) WHERE item IS NOT NULL AND outcome IS NULL;
COMMENT ON TABLE onceward_console.statement_row IS 'Rows of statements, what was found of each, and what came of it.';
COMMENT ON COLUMN onceward_console.statement_row.statement_id IS 'The statement.';
COMMENT ON COLUMN onceward_console.statement_row.line IS 'Line of the file that it begins at.';
COMMENT ON COLUMN onceward_console.statement_row.cells IS 'As they stand in the file.';
COMMENT ON COLUMN onceward_console.statement_row.finding IS 'What it is about: matched, ambiguous and so on; NULL before it was matched.';
COMMENT ON COLUMN onceward_console.statement_row.why IS 'The same in words.';
COMMENT ON COLUMN onceward_console.statement_row.call_id IS 'The call, if it is about one.';
COMMENT ON COLUMN onceward_console.statement_row.about IS 'The call in words.';
COMMENT ON COLUMN onceward_console.statement_row.item IS 'What is brought forward and proposed for it; NULL: nothing.';
COMMENT ON COLUMN onceward_console.statement_row.refused IS 'Whether that was refused.';
COMMENT ON COLUMN onceward_console.statement_row.outcome IS 'What came of it, in words.';
