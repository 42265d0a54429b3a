-- What an evaluation has looked at, so that exactly what can change it makes its pair due again; and why a pair is due.

-- What made a pair due since it was evaluated last: pings, fittings, device_events, incident.
ALTER TABLE due ADD causes text[] NOT NULL DEFAULT '{}';

-- Pairs that were evaluated and that the join still finds, matches or not, with the stretches of time in which a change
-- can change the answer (docs/decisions/0011).
CREATE TABLE judged_pair (
    incident_id uuid NOT NULL REFERENCES incident,
    wearer_id uuid NOT NULL REFERENCES wearer,
    context_from_at timestamptz NOT NULL,                              -- of a fitting or a device event
    context_to_at timestamptz NOT NULL,
    pings_from_at timestamptz NOT NULL,                                -- of a ping: what comes after enough others plays no part
    pings_to_at timestamptz NOT NULL,
    PRIMARY KEY (incident_id, wearer_id)
);
CREATE INDEX judged_pair_wearer ON judged_pair (wearer_id, pings_to_at);
INSERT INTO judged_pair
SELECT incident_id, wearer_id, context_from_at, context_to_at, context_from_at, context_to_at FROM match WHERE is_live;
ALTER TABLE match DROP context_from_at, DROP context_to_at;

-- Numbers of the evidence to look matches up by; null where the profile's rule does not ask for them.
ALTER TABLE match
    ADD inside_s double precision,                                     -- expected seconds inside
    ADD highest double precision,                                      -- highest probability of having been inside at one moment
    ADD ever double precision,                                         -- at any moment of the window
    ADD at_crime double precision,                                     -- at the moment of the crime
    ADD covered double precision,                                      -- share of the window that is known
    ADD ratio double precision,                                        -- likelihood ratio against this wearer's ordinary life
    ADD needed_mps double precision,                                   -- speed that presence would have needed
    ADD said jsonb;                                                    -- the evidence in words
ALTER TABLE alert_revision ADD said jsonb;
