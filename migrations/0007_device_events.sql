-- What a tag said of itself: why there are no pings, or why they may not be its wearer's.

-- As the contractor sent them, one row a revision; never changed.
CREATE TABLE device_event (
    device_event_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,        -- order of arrival, for lists
    contractor_id bigint NOT NULL REFERENCES organisation,
    event_ref text NOT NULL CHECK (length(event_ref) BETWEEN 1 AND 200),
    revision integer NOT NULL CHECK (revision >= 1),
    device_id integer NOT NULL REFERENCES device,
    kind text NOT NULL CHECK (kind IN ('fitted', 'removed', 'strap_tamper', 'case_tamper', 'battery_low', 'battery_flat',
        'charging_started', 'charging_ended', 'signal_lost', 'signal_restored', 'shielding_suspected')),
    at timestamptz NOT NULL,
    detail text,
    is_void boolean NOT NULL DEFAULT false,                            -- a revision that takes the whole event back
    received_at timestamptz NOT NULL DEFAULT now(),
    api_key_id bigint REFERENCES api_key,
    PRIMARY KEY (contractor_id, event_ref, revision)
);
CREATE INDEX device_event_device ON device_event (device_id, at);
CREATE INDEX device_event_list ON device_event (contractor_id, device_event_id);

CREATE TRIGGER device_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON device_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events as they count: the highest revision of each, unless that takes it back. An event is its wearer's who wore the
-- device at that moment (effective_activation: from_at <= at < to_at).
CREATE VIEW effective_device_event AS
SELECT device_event_id, contractor_id, event_ref, revision, device_id, kind, at, detail
FROM device_event AS e
WHERE NOT is_void AND NOT EXISTS (
    SELECT FROM device_event AS later
    WHERE later.contractor_id = e.contractor_id AND later.event_ref = e.event_ref AND later.revision > e.revision
);
