-- The delivery log is kept for a time and then forgotten; nothing but forgetting deletes from it.

CREATE FUNCTION refuse_change_but_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('trailmatch.forgets', true) = TG_TABLE_NAME THEN
        RETURN NULL;                                                   -- of a statement's trigger, nobody looks at it
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

DROP TRIGGER attempt_is_append_only ON attempt;
CREATE TRIGGER attempt_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_forgetting();

CREATE INDEX delivery_settled ON delivery (coalesce(delivered_at, cancelled_at))
    WHERE delivered_at IS NOT NULL OR cancelled_at IS NOT NULL;
CREATE INDEX notice_without_mail ON notice (noticed_at) WHERE delivery_id IS NULL AND due_at IS NULL;
