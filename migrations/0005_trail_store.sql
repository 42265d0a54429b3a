-- Closed hours of trails, packed; and pings that come after their day's rows have gone.
--
-- A ping of a day that still has its partition of `ping` is in `ping`, whether its hour is packed or not. An hour of a
-- device is read from its chunk unless it is marked in dirty_hour, else from its rows. When all hours of an old day are
-- packed the partition is dropped; what comes for that day later waits in ping_late until it is packed too, and counts
-- instead of the chunk's ping of the same key (docs/decisions/0005).

-- Marks are looked for by time, oldest first.
ALTER TABLE dirty_hour DROP CONSTRAINT dirty_hour_pkey, ADD PRIMARY KEY (hour_at, device_id);

-- The pings of one device in one hour, packed as matcher/packed.py says.
CREATE TABLE trail_chunk (
    hour_at timestamptz NOT NULL CHECK (hour_at = date_bin('1 hour', hour_at, 'epoch')),
    device_id integer NOT NULL,
    n integer NOT NULL CHECK (n > 0),                                  -- pings
    west_e7 integer NOT NULL,                                          -- the least box that holds them all
    east_e7 integer NOT NULL,
    south_e7 integer NOT NULL,
    north_e7 integer NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (device_id, hour_at)
);
-- Packed already: compressing it again takes time and gains nothing.
ALTER TABLE trail_chunk ALTER payload SET STORAGE EXTERNAL;
CREATE INDEX trail_chunk_box ON trail_chunk (hour_at, west_e7, east_e7, south_e7, north_e7);

-- Hours of a device that are read from their chunk.
CREATE VIEW sealed_hour AS
SELECT * FROM trail_chunk AS c
WHERE NOT EXISTS (SELECT FROM dirty_hour AS d WHERE d.hour_at = c.hour_at AND d.device_id = c.device_id);

-- What is left of a stretch of a device's trail between its sealed hours, [from_at, to_at): rows count there, and only there.
CREATE FUNCTION unsealed_parts(of_device_id integer, since timestamptz, until timestamptz)
RETURNS TABLE (from_at timestamptz, to_at timestamptz) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT part.from_at, part.to_at FROM (
        SELECT lag(hour_at + interval '1 hour', 1, since) OVER (ORDER BY hour_at) AS from_at, hour_at AS to_at
        FROM (
            SELECT hour_at FROM sealed_hour
            WHERE device_id = of_device_id AND hour_at > since - interval '1 hour' AND hour_at <= until
            UNION ALL SELECT until + interval '1 microsecond'
        ) AS sealed
    ) AS part
    WHERE part.from_at < part.to_at;
END;

-- UTC days of which any hour is packed, counted from 1970-01-01.
CREATE TABLE sealed_day (
    day integer PRIMARY KEY,
    last_sealed_by xid8 NOT NULL,                                      -- the transaction that packed one of its hours last
    last_sealed_at timestamptz NOT NULL DEFAULT now(),
    dropped_at timestamptz                                             -- null: its partition of ping is still there
);

-- As ping, for days whose partition was dropped.
CREATE TABLE ping_late (
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
);
