-- Media that the sender uploads: once for each number and content, and used until Meta's thirty days end.

CREATE TABLE sender.media (
    media_id text PRIMARY KEY,
    phone_number_id text NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    size bigint NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    gone_at timestamptz
);
COMMENT ON TABLE sender.media IS 'Every upload that Meta took: its id belongs to one number';
COMMENT ON COLUMN sender.media.expires_at IS 'When Meta''s thirty days end';
COMMENT ON COLUMN sender.media.gone_at IS 'When Meta said that it does not know the id any more';
CREATE INDEX media_content ON sender.media (phone_number_id, sha256, mime_type, expires_at);

CREATE TABLE sender.media_leases (
    phone_number_id text NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    holder text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (phone_number_id, sha256, mime_type)
);
COMMENT ON TABLE sender.media_leases IS 'Uploads under way: who holds one renews it, so that one of a process that died is over in seconds';

CREATE TABLE sender.media_sources (
    source bytea PRIMARY KEY,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    size bigint NOT NULL,
    is_animated boolean NOT NULL,
    etag text,
    last_modified text,
    checked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sender.media_sources IS 'What was last found behind a file name or a link';
COMMENT ON COLUMN sender.media_sources.source IS 'SHA-256 of the name or link: a link may carry secrets';
COMMENT ON COLUMN sender.media_sources.etag IS 'What tells that it is unchanged: a link''s ETag, a file''s time, size and inode';
COMMENT ON COLUMN sender.media_sources.checked_at IS 'When it was last seen to be this content';

GRANT SELECT, INSERT, UPDATE, DELETE ON sender.media, sender.media_leases, sender.media_sources TO parley_sender;
