-- Roles of the services and of analysts, and the registry of business numbers.
-- Passwords are the operator's: ALTER ROLE parley_sender PASSWORD '…'. Roles belong to the cluster, so they may exist already.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['parley_projector', 'parley_sender', 'parley_analytics'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another database of the cluster was migrated at the same moment
            END;
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA registry;
COMMENT ON SCHEMA registry IS 'What operators declare: business numbers, their limits and access tokens';
GRANT USAGE ON SCHEMA registry TO parley_sender;

CREATE TABLE registry.phone_numbers (
    phone_number_id text PRIMARY KEY,
    waba_id text NOT NULL,
    display_phone_number text,
    messages_per_second integer NOT NULL DEFAULT 80 CHECK (messages_per_second BETWEEN 1 AND 1000),
    access_token bytea NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE registry.phone_numbers IS 'Business numbers that Parley may send from';
COMMENT ON COLUMN registry.phone_numbers.messages_per_second IS 'Meta''s throughput limit of the number: 80 by default, 1000 upgraded, 20 coexistence';
COMMENT ON COLUMN registry.phone_numbers.access_token IS 'AES-256-GCM under PARLEY_TOKEN_KEY: 12 bytes nonce, then ciphertext; bound to the phone_number_id';
GRANT SELECT ON registry.phone_numbers TO parley_sender;
