-- Devices, who wears them when, and their pings.
--
-- A ping is kept as it was delivered, in fixed point, so that every reader gets the same arrays. Sentinels stand for
-- unknown: accuracy_cm, speed_cmps and direction_cdeg -1, source 0. Sources: 1 gps, 4 rf, 5 lbs, 6 wifi.

CREATE TABLE device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contractor_id bigint NOT NULL REFERENCES organisation,
    serial text NOT NULL CHECK (length(serial) BETWEEN 1 AND 200),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (contractor_id, serial)
);

-- As the contractor sent them, one row a revision; never changed.
CREATE TABLE activation (
    contractor_id bigint NOT NULL REFERENCES organisation,
    activation_ref text NOT NULL CHECK (length(activation_ref) BETWEEN 1 AND 200),
    revision integer NOT NULL CHECK (revision >= 1),
    device_id integer NOT NULL REFERENCES device,
    wearer_id uuid NOT NULL REFERENCES wearer,
    fitted_at timestamptz NOT NULL,
    removed_at timestamptz CHECK (removed_at >= fitted_at),
    is_void boolean NOT NULL DEFAULT false,                            -- a revision that takes the whole fitting back
    received_at timestamptz NOT NULL DEFAULT now(),
    api_key_id bigint REFERENCES api_key,
    PRIMARY KEY (contractor_id, activation_ref, revision)
);
CREATE INDEX activation_device ON activation (device_id);

CREATE TRIGGER activation_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON activation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Who wore a device when, derived anew for a device whenever one of its activations changes: the highest revision
-- counts, and a fitting ends at its removal or at the next fitting, whichever is first. [from_at, to_at).
CREATE TABLE effective_activation (
    device_id integer NOT NULL REFERENCES device,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL CHECK (to_at > from_at),                -- 'infinity' while it is worn
    wearer_id uuid NOT NULL REFERENCES wearer,
    contractor_id bigint NOT NULL,
    activation_ref text NOT NULL,
    revision integer NOT NULL,
    is_cut_short boolean NOT NULL,                                     -- the next fitting came before the stated removal
    PRIMARY KEY (device_id, from_at),
    FOREIGN KEY (contractor_id, activation_ref, revision) REFERENCES activation,
    -- a ping belongs to one wearer at most; int8range stands in for an equality that GiST has only by an extension
    EXCLUDE USING gist (int8range(device_id, device_id, '[]') WITH &&, tstzrange(from_at, to_at) WITH &&)
);
CREATE INDEX effective_activation_wearer ON effective_activation (wearer_id);

CREATE TABLE ping_batch (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    api_key_id bigint REFERENCES api_key,
    received_at timestamptz NOT NULL DEFAULT now(),
    content_sha256 bytea NOT NULL,                                     -- of the body as it came, before decompression
    accepted integer NOT NULL,
    duplicates integer NOT NULL,
    conflicts integer NOT NULL,
    rejected integer NOT NULL,
    payload bytea,                                                     -- packed rows that are new to us; null once matched
    matched_at timestamptz,
    claim_token uuid,
    claimed_until timestamptz
);
CREATE INDEX ping_batch_unmatched ON ping_batch (batch_id) WHERE matched_at IS NULL;

-- One partition a UTC day, made apart and attached (app/pings/partitions.py).
CREATE TABLE ping (
    device_id integer NOT NULL,
    fixed_at timestamptz NOT NULL,
    source smallint NOT NULL,
    lon_e7 integer NOT NULL,
    lat_e7 integer NOT NULL,
    accuracy_cm integer NOT NULL,
    speed_cmps integer NOT NULL,
    direction_cdeg integer NOT NULL,
    batch_id bigint NOT NULL,
    PRIMARY KEY (device_id, fixed_at, source)
) PARTITION BY RANGE (fixed_at);
CREATE INDEX ping_fixed_at ON ping USING brin (fixed_at) WITH (pages_per_range = 16, autosummarize = on);

-- Fixes of one key that differ from the one kept in ping, which is the smallest by (unknown accuracy last, accuracy,
-- lon, lat, speed, direction): no arrival order has a part in it.
CREATE TABLE ping_conflict (
    device_id integer NOT NULL,
    fixed_at timestamptz NOT NULL,
    source smallint NOT NULL,
    lon_e7 integer NOT NULL,
    lat_e7 integer NOT NULL,
    accuracy_cm integer NOT NULL,
    speed_cmps integer NOT NULL,
    direction_cdeg integer NOT NULL,
    batch_id bigint NOT NULL,
    PRIMARY KEY (device_id, fixed_at, source, accuracy_cm, lon_e7, lat_e7, speed_cmps, direction_cdeg)
);

CREATE TABLE ping_reject (
    reject_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES ping_batch,
    organisation_id bigint NOT NULL REFERENCES organisation,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    line integer NOT NULL,                                             -- the row in its batch, from 1
    pointer text NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    raw jsonb NOT NULL,                                                -- the row as it was sent
    retried_at timestamptz
);
CREATE INDEX ping_reject_waiting ON ping_reject (organisation_id, reject_id) WHERE retried_at IS NULL;

-- Hours of a device that hold pings not yet sealed.
CREATE TABLE dirty_hour (
    device_id integer NOT NULL,
    hour_at timestamptz NOT NULL,
    PRIMARY KEY (device_id, hour_at)
);
