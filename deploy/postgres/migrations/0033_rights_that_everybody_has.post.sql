-- What Postgres gives to everybody and no service or analyst needs: temporary tables, with which anybody could fill the disk, and
-- relations in `public`, which a database older than Postgres 15 still lets everybody make. Who owns the database keeps both.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
