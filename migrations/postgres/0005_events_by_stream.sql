CREATE INDEX events_by_stream ON events (stream_id, at_us, id);
