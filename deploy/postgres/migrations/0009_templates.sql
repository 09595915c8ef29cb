-- Templates as Meta tells of them, by events and by its list; how many people a portfolio may write to first.

CREATE TABLE projector.templates (
    waba_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    template_id text COLLATE "C" NOT NULL,
    template_id_at timestamptz NOT NULL,
    status text COLLATE "C",
    status_at timestamptz,
    category text COLLATE "C",
    category_at timestamptz,
    quality_score text COLLATE "C",
    quality_score_at timestamptz,
    components_at timestamptz,
    PRIMARY KEY (waba_id, name, language)
);
COMMENT ON TABLE projector.templates IS 'What webhooks told of templates, each word as last told; sender.templates has what Graph lists';
COMMENT ON COLUMN projector.templates.status IS 'Meta''s word: APPROVED, PAUSED, DISABLED …; an open set';
COMMENT ON COLUMN projector.templates.category IS 'The category that holds, in capitals; never one that is only announced';
COMMENT ON COLUMN projector.templates.components_at IS 'When the content last changed';

CREATE TABLE projector.messaging_limits (
    waba_id text COLLATE "C" PRIMARY KEY,
    messaging_limit text COLLATE "C" NOT NULL,
    told_at timestamptz NOT NULL
);
COMMENT ON TABLE projector.messaging_limits IS 'How many people a day the portfolio of an account may write to first, as last told: a tier or a number, -1 for no limit';

GRANT SELECT, INSERT, UPDATE ON projector.templates, projector.messaging_limits TO parley_projector;
GRANT SELECT ON projector.templates, projector.messaging_limits TO parley_sender;

CREATE TABLE sender.templates (
    waba_id text NOT NULL,
    name text NOT NULL,
    language text NOT NULL,
    template_id text NOT NULL,
    status text,
    category text,
    parameter_format text,
    components text NOT NULL,
    quality_score text,
    polled_at timestamptz NOT NULL,
    PRIMARY KEY (waba_id, name, language)
);
COMMENT ON TABLE sender.templates IS 'What Graph lists; a template that is no longer listed has no row';
COMMENT ON COLUMN sender.templates.components IS 'JSON as Graph gave it';
COMMENT ON COLUMN sender.templates.polled_at IS 'When the poll that found it so began';

CREATE TABLE sender.template_polls (
    waba_id text PRIMARY KEY,
    lease bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    begun_at timestamptz,
    polled_at timestamptz,
    next_poll_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    error_code integer
);
COMMENT ON TABLE sender.template_polls IS 'Who reads an account''s template list now, and when it was read and is to be read again';
COMMENT ON COLUMN sender.template_polls.lease IS 'Counts up with every poll: only the newest one may write what it found';
COMMENT ON COLUMN sender.template_polls.polled_at IS 'When the last complete poll began';

CREATE TABLE sender.portfolios (
    portfolio_id text PRIMARY KEY,
    room integer NOT NULL,
    messaging_limit integer NOT NULL,
    counted_at timestamptz NOT NULL,
    next_room_at timestamptz
);
COMMENT ON TABLE sender.portfolios IS 'How many more people may be written to first: counted now and then, and less by one for each that was started since';
COMMENT ON COLUMN sender.portfolios.next_room_at IS 'When the first of those who count stops counting';

CREATE TABLE sender.portfolio_recipients (
    portfolio_id text NOT NULL,
    recipient text NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (portfolio_id, recipient)
) WITH (fillfactor = 85);
COMMENT ON TABLE sender.portfolio_recipients IS 'To whom the business last began to write outside an open window, and when';
CREATE INDEX portfolio_recipients_started ON sender.portfolio_recipients (portfolio_id, started_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON sender.templates, sender.template_polls, sender.portfolios, sender.portfolio_recipients
TO parley_sender;

ALTER TABLE registry.phone_numbers ADD COLUMN portfolio_id text;
COMMENT ON COLUMN registry.phone_numbers.portfolio_id IS 'Business portfolio that the account belongs to: its numbers share one messaging limit. Null: the account alone';
