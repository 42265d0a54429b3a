-- Pairs that are weighed for the first time come before those that are weighed again because more pings have come.

ALTER TABLE due ADD is_again boolean NOT NULL DEFAULT false;           -- judged before, and only pings have come since
DROP INDEX due_generation_order;
CREATE INDEX due_order ON due (is_again, due_at);
