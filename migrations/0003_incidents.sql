-- Reported crimes, each state of their record, and the settings by which they are matched.

CREATE TABLE profile (
    profile_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    version integer NOT NULL,
    settings jsonb NOT NULL,
    settings_sha256 bytea NOT NULL CHECK (octet_length(settings_sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version),
    UNIQUE (name, settings_sha256)
);

CREATE TRIGGER profile_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON profile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE incident (
    incident_id uuid PRIMARY KEY,                                      -- UUIDv5 of force and reference
    force_id bigint NOT NULL REFERENCES organisation,
    reference text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
    latest_version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (force_id, reference)
);

-- Drawn under an advisory lock that is held to commit, so that numbers become visible in their order.
CREATE SEQUENCE incident_publish_seq AS bigint;

CREATE TABLE incident_version (
    incident_id uuid NOT NULL REFERENCES incident,
    version integer NOT NULL CHECK (version >= 1),
    publish_seq bigint NOT NULL UNIQUE,
    offence text NOT NULL CHECK (offence IN ('RB', 'BIAD', 'AB', 'BOTD', 'TOMV', 'TFP', 'TFMV', 'OTHER')),
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL CHECK (to_at >= from_at),
    lon_deg double precision NOT NULL CHECK (lon_deg BETWEEN -180 AND 180),
    lat_deg double precision NOT NULL CHECK (lat_deg BETWEEN -85 AND 85),
    easting_m double precision,                                        -- as delivered, when the force sent a grid position
    northing_m double precision,
    position_r95_m double precision CHECK (position_r95_m >= 0),       -- null: the profile's default for the offence
    text text,
    is_withdrawn boolean NOT NULL DEFAULT false,
    changed text[] NOT NULL,                                           -- fields that differ from the version before
    profile_id bigint NOT NULL REFERENCES profile,
    received_at timestamptz NOT NULL DEFAULT now(),
    api_key_id bigint REFERENCES api_key,
    PRIMARY KEY (incident_id, version),
    CHECK ((easting_m IS NULL) = (northing_m IS NULL))
);

CREATE TRIGGER incident_version_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON incident_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
