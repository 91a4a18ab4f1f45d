-- Exactly once into Kafka: what a transaction carries is written down before it is committed, so that whoever comes after a crash can ask
-- Kafka whether it was, and if not send the very same again.

ALTER TABLE onceward.checkpoint
  ADD COLUMN page bigint,
  ADD COLUMN confirmed boolean,
  ADD COLUMN planned_s1 pg_snapshot,
  ADD COLUMN planned_s2 pg_snapshot,
  ADD COLUMN planned_last_id bigint,
  ADD COLUMN planned_aside bigint[],
  ADD COLUMN release_hold uuid,
  ADD COLUMN release_to bigint,
  ADD CONSTRAINT a_page_is_confirmed_or_planned CHECK ((page IS NULL) = (confirmed IS NULL) AND page >= 0),
  ADD CONSTRAINT a_plan_says_where_it_ends CHECK ((confirmed IS FALSE) = (planned_s1 IS NOT NULL)),
  ADD CONSTRAINT a_planned_window_has_a_last_id CHECK ((planned_s2 IS NULL) = (planned_last_id IS NULL)),
  ADD CONSTRAINT only_a_plan_has_parts CHECK (planned_s1 IS NOT NULL OR num_nonnulls(planned_s2, planned_aside, release_hold) = 0),
  ADD CONSTRAINT a_release_says_how_far CHECK ((release_hold IS NULL) = (release_to IS NULL));
COMMENT ON COLUMN onceward.checkpoint.page IS
  'Exactly once: number of the last page, which its Kafka transaction commits as an offset. NULL: written by a relay that sends at least once.';
COMMENT ON COLUMN onceward.checkpoint.confirmed IS
  'Exactly once. true: the page is known to be committed in Kafka, and s1, s2, last_id are behind it. false: it is planned, and they are before it; Kafka knows the rest.';
COMMENT ON COLUMN onceward.checkpoint.planned_s1 IS 'Plan: s1 once the page is committed. The page is what lies between the two positions.';
COMMENT ON COLUMN onceward.checkpoint.planned_s2 IS 'Plan: s2 once the page is committed.';
COMMENT ON COLUMN onceward.checkpoint.planned_last_id IS 'Plan: last_id once the page is committed.';
COMMENT ON COLUMN onceward.checkpoint.planned_aside IS 'Plan: ids of rows of the page that are set aside instead of sent.';
COMMENT ON COLUMN onceward.checkpoint.release_hold IS 'Plan: the page is of messages of this hold, not of the outbox.';
COMMENT ON COLUMN onceward.checkpoint.release_to IS 'Plan: id of the last message of the hold in the page.';
