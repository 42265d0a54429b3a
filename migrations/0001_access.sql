-- Who may do what, for whom, and who looked at what.

CREATE TABLE organisation (
    organisation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'), -- a force's identifier in incidents; never changes
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('contractor', 'force', 'probation', 'operator')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE account (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('offender_manager', 'analyst', 'hub_manager', 'operator', 'auditor')),
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
CREATE UNIQUE INDEX account_email ON account (lower(email));

CREATE TABLE api_key (
    api_key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    prefix text NOT NULL UNIQUE,                                       -- public: names the key in lists and logs
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    scopes text[] NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE wearer (
    wearer_id uuid PRIMARY KEY,                                        -- UUIDv5 of the reference
    reference text NOT NULL UNIQUE CHECK (length(reference) BETWEEN 1 AND 200),
    registered_by bigint REFERENCES organisation,                      -- null: known only from an activation so far
    force_id bigint REFERENCES organisation,
    probation_id bigint REFERENCES organisation,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wearer_force ON wearer (force_id);
CREATE INDEX wearer_probation ON wearer (probation_id);

CREATE TABLE caseload (
    caseload_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    wearer_id uuid NOT NULL REFERENCES wearer,
    from_at timestamptz NOT NULL DEFAULT now(),
    to_at timestamptz CHECK (to_at > from_at)
);
CREATE INDEX caseload_wearer ON caseload (wearer_id);
CREATE INDEX caseload_account ON caseload (account_id);

CREATE TABLE audit_event (
    audit_event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    organisation_id bigint REFERENCES organisation,                    -- null: the operator at the command line
    api_key_id bigint REFERENCES api_key,
    account_id bigint REFERENCES account,
    request_id text,
    action text NOT NULL,                                              -- verb and noun, as in 'matches.list'
    subject text,                                                      -- the filter or the id that was asked for
    wearer_ids uuid[] NOT NULL DEFAULT '{}',                           -- every wearer whose record was shown or changed
    reason text
);
CREATE INDEX audit_event_at ON audit_event USING brin (at);
CREATE INDEX audit_event_wearers ON audit_event USING gin (wearer_ids);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TRIGGER audit_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
