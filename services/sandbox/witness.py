"""Was every record applied exactly once? A trigger writes down every advance of a position in the transaction that makes it.

It is not idempotent, unlike the tables: advances that overlap are a record applied twice, a gap between them is a record lost.
`ledger.uneven` finds both.
"""

from __future__ import annotations

from typing import Final

import psycopg

_WITNESS: Final = """
CREATE TABLE public.advances (
    seq bigint GENERATED ALWAYS AS IDENTITY, topic text, partition integer, before bigint, after bigint
);
GRANT INSERT ON public.advances TO PUBLIC;
CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.advances (topic, partition, before, after)
    VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN NULL;
END
$$;
CREATE TRIGGER witness AFTER UPDATE ON projector.positions
    FOR EACH ROW WHEN (old.next_offset <> new.next_offset) EXECUTE FUNCTION public.witness();
"""


def install(dsn: str) -> None:
    """Before the projector's first start, in a database that is there for tests."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_WITNESS)
