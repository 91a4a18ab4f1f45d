SELECT h.no, h.system_id, h.timeline, h.known_until, h.first_seen, h.seen_by, h.confirmed_at, h.confirmed_by,
       h.timeline <> onceward.timeline() OR h.xmin <> h.xid::xid AS unseen
  FROM onceward.history h ORDER BY h.no DESC LIMIT 10
