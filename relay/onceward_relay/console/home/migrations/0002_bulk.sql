-- What people do for many at once: frozen by a dry run, then done item by item, with a result for each. And forms that count once.

CREATE TABLE onceward_console.bulk (
  id uuid PRIMARY KEY,
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  kind text NOT NULL CHECK (kind IN ('call', 'flow', 'decision')),
  verb text NOT NULL CHECK (verb ~ '^[a-z_]{1,40}$'),
  about text NOT NULL CHECK (length(about) <= 2000),
  capped boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'frozen' CHECK (state IN ('frozen', 'running', 'stopped', 'done')),
  reason text CHECK (length(btrim(reason)) BETWEEN 1 AND 4000),
  frozen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL,
  begun_at timestamptz,
  ended_at timestamptz,
  due_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  trouble text,
  CONSTRAINT what_has_begun_says_why CHECK ((state = 'frozen') = (begun_at IS NULL) AND (begun_at IS NULL) = (reason IS NULL)),
  CONSTRAINT an_end_says_when CHECK ((state IN ('stopped', 'done')) = (ended_at IS NOT NULL))
);
CREATE INDEX bulk_running ON onceward_console.bulk (due_at) WHERE state = 'running';
CREATE INDEX bulk_of ON onceward_console.bulk (person_id, frozen_at);
CREATE INDEX bulk_expires ON onceward_console.bulk (expires_at);
COMMENT ON TABLE onceward_console.bulk IS 'A verb for many calls, flows or decisions at once: what a dry run has found, and how far it was done.';
COMMENT ON COLUMN onceward_console.bulk.id IS 'Identity, and the batch of the decisions that are proposed by it.';
COMMENT ON COLUMN onceward_console.bulk.person_id IS 'Who froze it; nobody else begins it.';
COMMENT ON COLUMN onceward_console.bulk.kind IS 'What its items are.';
COMMENT ON COLUMN onceward_console.bulk.verb IS 'What is done to each.';
COMMENT ON COLUMN onceward_console.bulk.about IS 'Which they are: the query of the worklist, or the batch.';
COMMENT ON COLUMN onceward_console.bulk.capped IS 'There were more than one list may hold.';
COMMENT ON COLUMN onceward_console.bulk.state IS 'frozen: nothing was done; running; stopped by a person; done.';
COMMENT ON COLUMN onceward_console.bulk.reason IS 'Why, for the audit of each item.';
COMMENT ON COLUMN onceward_console.bulk.frozen_at IS 'When the items and their versions were seen.';
COMMENT ON COLUMN onceward_console.bulk.expires_at IS 'When it is forgotten; one that was not begun until then cannot be.';
COMMENT ON COLUMN onceward_console.bulk.begun_at IS 'When it was begun.';
COMMENT ON COLUMN onceward_console.bulk.ended_at IS 'When it was done, or stopped.';
COMMENT ON COLUMN onceward_console.bulk.due_at IS 'When its next item is due: later while a participant does not answer.';
COMMENT ON COLUMN onceward_console.bulk.trouble IS 'Why it does not get on just now.';

CREATE TABLE onceward_console.bulk_item (
  bulk_id uuid NOT NULL REFERENCES onceward_console.bulk ON DELETE CASCADE,
  no integer NOT NULL CHECK (no > 0),
  participant text NOT NULL CHECK (participant <> ''),
  subject uuid NOT NULL,
  version bigint NOT NULL,
  decision uuid NOT NULL,
  about text NOT NULL,
  amount numeric(30, 10),
  currency text,
  state text NOT NULL CHECK (state IN ('waiting', 'impossible', 'done', 'refused')),
  outcome text,
  PRIMARY KEY (bulk_id, no),
  UNIQUE (bulk_id, participant, subject)
);
CREATE INDEX bulk_item_waiting ON onceward_console.bulk_item (bulk_id, no) WHERE state = 'waiting';
COMMENT ON TABLE onceward_console.bulk_item IS 'One call, flow or decision of a bulk.';
COMMENT ON COLUMN onceward_console.bulk_item.bulk_id IS 'The bulk.';
COMMENT ON COLUMN onceward_console.bulk_item.no IS 'Order.';
COMMENT ON COLUMN onceward_console.bulk_item.participant IS 'Where it is.';
COMMENT ON COLUMN onceward_console.bulk_item.subject IS 'Its id there.';
COMMENT ON COLUMN onceward_console.bulk_item.version IS 'At which it was seen.';
COMMENT ON COLUMN onceward_console.bulk_item.decision IS 'Id of the decision about it: done twice, it counts once.';
COMMENT ON COLUMN onceward_console.bulk_item.about IS 'What it is, in words.';
COMMENT ON COLUMN onceward_console.bulk_item.amount IS 'Money at stake.';
COMMENT ON COLUMN onceward_console.bulk_item.currency IS 'ISO 4217.';
COMMENT ON COLUMN onceward_console.bulk_item.state IS 'waiting: to be done; impossible: the dry run said so; done; refused.';
COMMENT ON COLUMN onceward_console.bulk_item.outcome IS 'What has become of it, or why it was refused or is not possible.';

CREATE FUNCTION onceward_console.next_item(OUT bulk onceward_console.bulk, OUT item onceward_console.bulk_item, OUT person text, OUT may boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  FOR bulk IN SELECT b.* FROM onceward_console.bulk b WHERE b.state = 'running' AND b.due_at <= clock_timestamp() ORDER BY b.due_at LIMIT 20
  LOOP
    SELECT i.* INTO item FROM onceward_console.bulk_item i WHERE i.bulk_id = bulk.id AND i.state = 'waiting' ORDER BY i.no FOR UPDATE SKIP LOCKED LIMIT 1;
    IF item.no IS NOT NULL THEN
      SELECT h.name, onceward_console.may(h.id, item.participant, CASE WHEN bulk.verb IN ('approve', 'reject') THEN 'approve' ELSE 'act' END) INTO person, may
        FROM onceward_console.person h WHERE h.id = bulk.person_id;
      RETURN;
    END IF;
    UPDATE onceward_console.bulk b SET state = 'done', ended_at = clock_timestamp(), trouble = NULL
     WHERE b.id = bulk.id AND b.state = 'running'
       AND NOT EXISTS (SELECT FROM onceward_console.bulk_item i WHERE i.bulk_id = b.id AND i.state = 'waiting');
  END LOOP;
  bulk := NULL;
END $$;
COMMENT ON FUNCTION onceward_console.next_item() IS
  'Locks the next item of a running bulk until the end of the transaction, and says on whose behalf, and whether that person still may; NULL: nothing is due. A bulk without items left is done.';

CREATE TABLE onceward_console.sent_form (
  id uuid PRIMARY KEY,
  person_id uuid NOT NULL REFERENCES onceward_console.person,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX sent_form_at ON onceward_console.sent_form (at);
COMMENT ON TABLE onceward_console.sent_form IS 'Forms of verbs that take effect at once, so that one that is sent twice counts once. Decisions have ids of their own.';
COMMENT ON COLUMN onceward_console.sent_form.id IS 'Made when the form was shown.';
COMMENT ON COLUMN onceward_console.sent_form.person_id IS 'Who sent it.';
COMMENT ON COLUMN onceward_console.sent_form.at IS 'When.';
