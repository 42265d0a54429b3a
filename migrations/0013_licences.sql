-- When people were on licence: shown with a match. Nothing is suppressed by it.

-- As those who are responsible for the person stated it, one row a revision; never changed.
CREATE TABLE licence (
    organisation_id bigint NOT NULL REFERENCES organisation,           -- who stated it
    licence_ref text NOT NULL CHECK (length(licence_ref) BETWEEN 1 AND 200),
    revision integer NOT NULL CHECK (revision >= 1),
    wearer_id uuid NOT NULL REFERENCES wearer,
    from_at timestamptz NOT NULL,
    to_at timestamptz CHECK (to_at > from_at),                         -- the first instant after it; null: no end is known
    is_void boolean NOT NULL DEFAULT false,                            -- a revision that takes the whole licence back
    received_at timestamptz NOT NULL DEFAULT now(),
    api_key_id bigint REFERENCES api_key,
    PRIMARY KEY (organisation_id, licence_ref, revision)
);
CREATE INDEX licence_wearer ON licence (wearer_id);

CREATE TRIGGER licence_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON licence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Licences as they count: the highest revision of each, unless that takes it back. They may overlap; whoever reads a
-- wearer's takes them together (range_agg).
CREATE VIEW effective_licence AS
SELECT organisation_id, licence_ref, revision, wearer_id, from_at, to_at
FROM licence AS l
WHERE NOT is_void AND NOT EXISTS (
    SELECT FROM licence AS later
    WHERE later.organisation_id = l.organisation_id AND later.licence_ref = l.licence_ref
        AND later.revision > l.revision
);
