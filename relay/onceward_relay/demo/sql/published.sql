-- Messages that flows have published: their ids follow from flow and step.
SELECT flow_id, step FROM onceward.flow_step WHERE kind = 'publish'
