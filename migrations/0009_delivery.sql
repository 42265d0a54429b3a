-- Who is told of what becomes of an alert: places on the stream for what people do, notices to people, webhooks, and the log
-- of every attempt to deliver.

-- Until now only revisions had a place on the stream.
ALTER TABLE outbox
    ADD event_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,       -- the same for whoever is told, however often
    ADD event text NOT NULL DEFAULT 'revision'
        CHECK (event IN ('revision', 'taken_up', 'assigned', 'decided', 'outcome', 'escalated')),
    ADD state text,                                                    -- of the alert, after it; null: of a revision
    ADD why text,                                                      -- null: the revision's
    ADD account_id bigint REFERENCES account,                          -- whom it is about: who is to look after the alert
    ADD CHECK (event = 'revision' OR (state IS NOT NULL AND why IS NOT NULL)),
    DROP CONSTRAINT outbox_alert_id_revision_key;
CREATE UNIQUE INDEX outbox_revision ON outbox (alert_id, revision) WHERE event = 'revision';
CREATE INDEX outbox_alert ON outbox (alert_id);

-- When an incident of this force is urgent, and how long its alerts may lie unseen. Without a row: an hour, RB and AB.
CREATE TABLE routing_rule (
    organisation_id bigint PRIMARY KEY REFERENCES organisation,
    escalate_after_s integer CHECK (escalate_after_s BETWEEN 60 AND 2592000), -- null: never
    urgent_offences text[] NOT NULL
);

-- When a person wants to be told. Without a row: by e-mail, at once. Times of day are Europe/London.
CREATE TABLE preference (
    account_id bigint PRIMARY KEY REFERENCES account,
    by_email boolean NOT NULL,
    quiet_from time,
    quiet_to time,
    digest_at time[] NOT NULL,                                         -- empty: each notice by itself
    urgent_at_once boolean NOT NULL,                                   -- whether what is urgent waits for neither
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to)
);

-- Up to which position of the stream people and endpoints have been told. Its one row is locked by whoever tells.
CREATE TABLE routing (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint NOT NULL
);
-- Nobody is told now of what was on the stream before there was anybody to tell.
INSERT INTO routing (position) SELECT coalesce(max(position), 0) FROM outbox;

-- Alerts at which somebody has to look by then.
CREATE TABLE escalation (
    outbox_id bigint PRIMARY KEY REFERENCES outbox,
    due_at timestamptz NOT NULL,
    became text CHECK (became IN ('looked_at', 'withdrawn', 'escalated')), -- null while it waits
    settled_at timestamptz
);
CREATE INDEX escalation_waiting ON escalation (due_at) WHERE became IS NULL;

CREATE TABLE endpoint (
    endpoint_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    url text NOT NULL CHECK (url <> ''),
    label text NOT NULL,
    events text[] NOT NULL,                                            -- empty: all
    disabled_at timestamptz,
    disabled_because text,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    api_key_id bigint REFERENCES api_key,
    failures integer NOT NULL DEFAULT 0,                               -- since the last attempt that was acknowledged
    resume_at timestamptz NOT NULL DEFAULT '-infinity',                -- no attempt before
    claim_token uuid,
    claimed_until timestamptz,
    CHECK ((disabled_at IS NULL) = (disabled_because IS NULL))
);
CREATE INDEX endpoint_organisation ON endpoint (organisation_id) WHERE deleted_at IS NULL;

-- A secret is computed from its nonce and a key that is not in the database.
CREATE TABLE endpoint_secret (
    endpoint_secret_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id bigint NOT NULL REFERENCES endpoint,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 32),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32), -- shows whether the key is still the same
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz                                             -- null: the one in use
);
CREATE UNIQUE INDEX endpoint_secret_in_use ON endpoint_secret (endpoint_id) WHERE expires_at IS NULL;
CREATE INDEX endpoint_secret_endpoint ON endpoint_secret (endpoint_id);

-- One message to one receiver: an event to an endpoint, or a mail to a person. It is kept until acknowledged.
CREATE TABLE delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,       -- in each endpoint's, the order of the stream
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),                  -- what the receiver knows it by, in every attempt
    endpoint_id bigint REFERENCES endpoint,
    account_id bigint REFERENCES account,
    outbox_id bigint REFERENCES outbox,
    alert_id uuid REFERENCES alert,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    cancelled_at timestamptz,
    claim_token uuid,                                                  -- of a mail; those of an endpoint go by its claim
    claimed_until timestamptz,
    CHECK ((endpoint_id IS NULL) <> (account_id IS NULL)),
    CHECK (delivered_at IS NULL OR cancelled_at IS NULL),
    UNIQUE (endpoint_id, outbox_id)
);
CREATE INDEX delivery_of_endpoint ON delivery (endpoint_id, delivery_id)
    WHERE delivered_at IS NULL AND cancelled_at IS NULL AND endpoint_id IS NOT NULL;
CREATE INDEX delivery_of_alert ON delivery (endpoint_id, alert_id, delivery_id)
    WHERE delivered_at IS NULL AND cancelled_at IS NULL AND endpoint_id IS NOT NULL;
-- One mail at a time to each person.
CREATE UNIQUE INDEX delivery_of_account ON delivery (account_id)
    WHERE delivered_at IS NULL AND cancelled_at IS NULL AND account_id IS NOT NULL;
CREATE INDEX delivery_to_endpoint ON delivery (endpoint_id, delivery_id);
CREATE INDEX delivery_to_account ON delivery (account_id, delivery_id);

CREATE TABLE attempt (
    delivery_id bigint NOT NULL REFERENCES delivery,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    took_ms integer NOT NULL,
    address inet,                                                      -- that was connected to
    status integer,                                                    -- of the answer, by HTTP or SMTP
    error text,                                                        -- a code; null: acknowledged
    PRIMARY KEY (delivery_id, attempt)
);
CREATE TRIGGER attempt_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Who was told of an event on the stream, as what, and when the mail that says so goes out.
CREATE TABLE notice (
    notice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox_id bigint NOT NULL REFERENCES outbox,
    account_id bigint NOT NULL REFERENCES account,
    told_as text NOT NULL CHECK (told_as IN ('assignee', 'offender_manager', 'hub')),
    is_urgent boolean NOT NULL,
    due_at timestamptz,                                                -- null: wants no e-mail
    delivery_id bigint REFERENCES delivery,                            -- null: no mail has been made of it yet
    noticed_at timestamptz NOT NULL,
    UNIQUE (outbox_id, account_id)
);
CREATE INDEX notice_waiting ON notice (account_id, due_at) WHERE delivery_id IS NULL AND due_at IS NOT NULL;
CREATE INDEX notice_delivery ON notice (delivery_id);
