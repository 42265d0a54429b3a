-- What people do with alerts: who looks after one, what was concluded, and what came of it. All of it is history.

ALTER TABLE organisation ADD asks_second_check boolean NOT NULL DEFAULT false; -- before its wearers or crimes are passed to the police

-- Why somebody decided. A reason's words never change, because decisions were made with them; it is set inactive instead.
CREATE TABLE decision_reason (
    code text PRIMARY KEY CHECK (code ~ '^[a-z][a-z0-9_]{0,63}$'),
    decision text CHECK (decision IN ('pass_to_police', 'explained', 'data_too_poor', 'need_more')), -- null: any
    label text NOT NULL CHECK (label <> ''),
    is_active boolean NOT NULL DEFAULT true
);
INSERT INTO decision_reason (code, decision, label) VALUES
    ('at_the_scene', 'pass_to_police', 'The trail places the wearer at the scene in the window'),
    ('fits_other_information', 'pass_to_police', 'The trail fits other information about the crime'),
    ('lives_or_works_there', 'explained', 'The wearer lives, works or studies there'),
    ('usual_route', 'explained', 'The wearer passes there as a matter of course'),
    ('known_appointment', 'explained', 'The wearer had a known reason to be there'),
    ('already_cleared', 'explained', 'Other information clears the wearer'),
    ('too_few_positions', 'data_too_poor', 'Too few positions, or too far apart in time'),
    ('positions_too_inaccurate', 'data_too_poor', 'The positions are too inaccurate'),
    ('incident_too_vague', 'data_too_poor', 'The place or time of the incident is too vague'),
    ('device_in_doubt', 'data_too_poor', 'The device or its fitting is in doubt'),
    ('ask_the_investigator', 'need_more', 'The investigating officer has to be asked'),
    ('ask_the_wearer', 'need_more', 'The wearer has to be asked'),
    ('awaiting_positions', 'need_more', 'Positions are still expected'),
    ('other', NULL, 'Another reason, given in the text');

CREATE TABLE assignment (
    assignment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    account_id bigint REFERENCES account,                              -- who looks after it from now on, with an account
    name text CHECK (name <> ''),                                      -- or without one; neither: nobody
    organisation_id bigint NOT NULL REFERENCES organisation,           -- of who assigned it
    api_key_id bigint REFERENCES api_key,
    by_account_id bigint REFERENCES account,
    assigned_by text NOT NULL CHECK (assigned_by <> ''),
    assigned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (account_id IS NULL OR name IS NULL)
);
CREATE INDEX assignment_alert ON assignment (alert_id);

CREATE TRIGGER assignment_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON assignment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE decision (
    decision_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    alert_id uuid NOT NULL,
    revision integer NOT NULL,                                         -- the evidence that it was made on
    touches integer NOT NULL,                                          -- of the alert, with this one: their order
    decision text NOT NULL CHECK (decision IN ('pass_to_police', 'explained', 'data_too_poor', 'need_more')),
    reason text NOT NULL REFERENCES decision_reason,
    text text NOT NULL CHECK (text <> ''),
    state text NOT NULL CHECK (state IN ('in_review', 'awaiting_second_check', 'decided')), -- of the alert, after it
    confirms uuid UNIQUE,                                              -- as the second check, the decision of somebody else
    organisation_id bigint NOT NULL REFERENCES organisation,
    api_key_id bigint REFERENCES api_key,
    account_id bigint REFERENCES account,
    decided_by text NOT NULL CHECK (decided_by <> ''),                 -- the person, for whom a key may act
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    idempotency_key text,
    content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    UNIQUE (alert_id, touches),
    UNIQUE (alert_id, organisation_id, idempotency_key),
    UNIQUE (decision_id, alert_id, revision),
    FOREIGN KEY (alert_id, revision) REFERENCES alert_revision,
    -- A second check is made on the very evidence of the first.
    FOREIGN KEY (confirms, alert_id, revision) REFERENCES decision (decision_id, alert_id, revision),
    CHECK (confirms IS NULL OR (decision = 'pass_to_police' AND state = 'decided'))
);

CREATE TRIGGER decision_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What came of an alert that was passed to the police.
CREATE TABLE outcome (
    outcome_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    outcome text NOT NULL CHECK (outcome IN ('eliminated', 'arrested', 'charged', 'convicted', 'no_further_action')),
    happened_on date NOT NULL,
    source text NOT NULL CHECK (source <> ''),
    reference text NOT NULL,                                           -- the source's own; may be empty
    organisation_id bigint NOT NULL REFERENCES organisation,
    api_key_id bigint REFERENCES api_key,
    account_id bigint REFERENCES account,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (alert_id, outcome, happened_on, source, reference)
);

CREATE TRIGGER outcome_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outcome
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE alert
    ADD touches integer NOT NULL DEFAULT 0,                            -- changes by people; with the revision, the ETag
    ADD decision_id uuid REFERENCES decision,                          -- the last one
    ADD assignment_id bigint REFERENCES assignment;                    -- the last one
