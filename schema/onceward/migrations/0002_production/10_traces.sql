-- Traces go on where a worker takes up a flow or a call, however much later.

ALTER TABLE onceward.flow ADD COLUMN trace jsonb;
COMMENT ON COLUMN onceward.flow.trace IS 'W3C trace context (traceparent, tracestate) where it was started; NULL if that is not traced.';
ALTER TABLE onceward.call ADD COLUMN trace jsonb;
COMMENT ON COLUMN onceward.call.trace IS 'W3C trace context (traceparent, tracestate) where it was asked for; NULL if that is not traced.';
