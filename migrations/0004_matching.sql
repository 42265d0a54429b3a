-- What waits to be matched, what was found, and what people were told.
--
-- Whatever waits is claimed by a lease: claim_token names the claimant, claimed_until ends it. Work is written only
-- together with the removal of the claim, so a claimant that lost its lease writes nothing.

-- Incident versions whose stored trails have not been read yet.
CREATE TABLE arrival (
    incident_id uuid NOT NULL,
    version integer NOT NULL,
    arrived_at timestamptz NOT NULL DEFAULT now(),
    claim_token uuid,
    claimed_until timestamptz,
    PRIMARY KEY (incident_id, version),
    FOREIGN KEY (incident_id, version) REFERENCES incident_version
);

-- Stretches of a device's trail that have another wearer than before and have to be joined again.
CREATE TABLE rejoin (
    rejoin_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES device,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    claim_token uuid,
    claimed_until timestamptz
);

-- A generation is never used twice, so an evaluation that was overtaken can tell even after its row was deleted and made again.
CREATE SEQUENCE due_generation AS bigint;

-- Pairs to be evaluated. What falls into a pair's context while it waits or is being evaluated moves its generation.
CREATE TABLE due (
    incident_id uuid NOT NULL REFERENCES incident,
    wearer_id uuid NOT NULL REFERENCES wearer,
    generation bigint NOT NULL,
    context_from_at timestamptz NOT NULL,
    context_to_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    claim_token uuid,
    claimed_until timestamptz,
    PRIMARY KEY (incident_id, wearer_id)
);
CREATE INDEX due_wearer ON due (wearer_id);
CREATE INDEX due_generation_order ON due (generation);

-- One row for each execution of the matcher, so that every match names the code that made it.
CREATE TABLE run (
    run_id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    version text NOT NULL,
    algorithm text NOT NULL,
    host text NOT NULL,
    process_id integer NOT NULL
);

CREATE TABLE match (
    match_id uuid PRIMARY KEY,                                         -- UUIDv5 of force, incident reference, wearer reference
    match_seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,              -- order of first appearance, for lists
    incident_id uuid NOT NULL REFERENCES incident,
    wearer_id uuid NOT NULL REFERENCES wearer,
    incident_version integer NOT NULL,
    profile_id bigint NOT NULL REFERENCES profile,
    run_id uuid NOT NULL REFERENCES run,
    is_live boolean NOT NULL,                                          -- false: it was a match once, and is none by what is known now
    verdict text NOT NULL CHECK (verdict IN ('present', 'possible', 'excluded', 'cannot_say')),
    n_pings integer NOT NULL,
    min_dist_m double precision,                                       -- of the pings inside; null without one
    closest_at timestamptz,
    first_at timestamptz,
    last_at timestamptz,
    evidence jsonb NOT NULL,
    context_from_at timestamptz NOT NULL,
    context_to_at timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (incident_id, wearer_id),
    FOREIGN KEY (incident_id, incident_version) REFERENCES incident_version
);
CREATE INDEX match_wearer ON match (wearer_id) WHERE is_live;

CREATE TABLE alert (
    alert_id uuid PRIMARY KEY,                                         -- UUIDv5, as its match
    alert_seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    match_id uuid NOT NULL UNIQUE REFERENCES match,
    incident_id uuid NOT NULL REFERENCES incident,
    wearer_id uuid NOT NULL REFERENCES wearer,
    state text NOT NULL CHECK (state IN ('new', 'in_review', 'awaiting_second_check', 'decided', 'withdrawn')),
    revision integer NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alert_wearer ON alert (wearer_id);
CREATE INDEX alert_incident ON alert (incident_id);

CREATE TABLE alert_revision (
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('raised', 'revised', 'withdrawn', 'reopened')),
    why text NOT NULL,
    changed text[] NOT NULL,                                           -- parts of the evidence that differ from the revision before
    incident_version integer NOT NULL,
    profile_id bigint NOT NULL REFERENCES profile,
    run_id uuid NOT NULL REFERENCES run,
    evidence jsonb NOT NULL,
    revised_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (alert_id, revision)
);

-- Drawn by the one dispatcher at a time, under a lock held to commit: readers who saw a position miss none below it.
CREATE SEQUENCE stream_position AS bigint;

CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    revision integer NOT NULL,
    position bigint UNIQUE,                                            -- null until dispatched
    created_at timestamptz NOT NULL DEFAULT now(),
    dispatched_at timestamptz,
    UNIQUE (alert_id, revision),
    FOREIGN KEY (alert_id, revision) REFERENCES alert_revision
);
CREATE INDEX outbox_waiting ON outbox (outbox_id) WHERE position IS NULL;
