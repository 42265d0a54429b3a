"""All migrations together make the schema that is written down, on whatever version the tests run."""

from app.db import Connection, connect
from tests.app.schema import GOLDEN, schema_text


async def test_the_migrations_make_the_golden_schema(database_url: str) -> None:
    async with connect(database_url) as connection:
        text = await schema_text(connection)
    assert text == GOLDEN.read_text(), "after a deliberate change: python -m tests.app.schema"


async def test_the_text_holds_every_kind_of_thing(connection: Connection) -> None:
    before = await schema_text(connection)
    for statement in (
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        "ALTER TABLE ping ADD COLUMN n integer",
        "ALTER TABLE ping ALTER COLUMN n SET NOT NULL",
        "ALTER TABLE ping ALTER COLUMN n SET DEFAULT 7",
        "ALTER TABLE ping ADD CHECK (n < 9)",
        "CREATE INDEX ON ping (n)",
        "CREATE FUNCTION seven() RETURNS integer LANGUAGE sql RETURN 7",
        "CREATE VIEW seen AS SELECT n FROM ping",
        "CREATE SEQUENCE counted",
        "ALTER SEQUENCE counted INCREMENT 2",
        "CREATE TRIGGER never BEFORE UPDATE ON ping FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "DROP TRIGGER never ON ping",
    ):
        await connection.execute(statement)
        after = await schema_text(connection)
        assert after != before, statement
        before = after
