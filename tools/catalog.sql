-- What Postgres' catalog knows of some schemas. Partitions are left out: which of them there are depends on the day.

-- schemas --
-- The schemas, with who owns them.
SELECT
    'schema ' || n.nspname AS object,
    'owner ' || pg_get_userbyid(n.nspowner) AS fact
FROM pg_namespace AS n
WHERE n.nspname = ANY(%(schemas)s)

-- relations --
-- Tables, views, indexes and sequences, with how they are kept and who owns them.
SELECT
    'relation ' || c.oid::regclass::text,
    concat_ws(
        ' ', 'kind', c.relkind, c.relpersistence, 'owner', pg_get_userbyid(c.relowner), c.reloptions::text,
        'row security ' || nullif(c.relrowsecurity, FALSE)::text, pg_get_partkeydef(c.oid),
        CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
        CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END
    )
FROM pg_class AS c
WHERE c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition

-- columns --
-- Columns, by their place among those that were not dropped.
SELECT
    'column ' || c.oid::regclass::text || '.' || a.attname,
    concat_ws(
        ' ', 'no.', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
        'collate ' || (SELECT l.collname FROM pg_collation AS l WHERE l.oid = a.attcollation),
        CASE WHEN a.attnotnull THEN 'not null' END,
        nullif(a.attidentity, ''), nullif(a.attgenerated, ''), 'default ' || pg_get_expr(d.adbin, d.adrelid)
    )
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE
    c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition
    AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped

-- constraints --
-- Keys and checks by name. That a column is not null is said of the column: only some versions give it a constraint.
SELECT
    'constraint ' || k.conname || ' of ' || k.conrelid::regclass::text,
    pg_get_constraintdef(k.oid)
FROM pg_constraint AS k
INNER JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.connamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition AND k.contype <> 'n'

-- sequences --
-- How sequences count, and which column they belong to.
SELECT
    'sequence ' || s.seqrelid::regclass::text,
    concat_ws(
        ' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
        (
            SELECT d.refobjid::regclass::text || ' ' || a.attname
            FROM pg_depend AS d
            INNER JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass
        )
    )
FROM pg_sequence AS s
INNER JOIN pg_class AS c ON c.oid = s.seqrelid
WHERE c.relnamespace::regnamespace::text = ANY(%(schemas)s)

-- functions --
-- Functions, whole, with who owns them: some run as their owner.
SELECT
    'function ' || p.oid::regprocedure::text,
    'owner ' || pg_get_userbyid(p.proowner) || ' ' || pg_get_functiondef(p.oid)
FROM pg_proc AS p
WHERE p.pronamespace::regnamespace::text = ANY(%(schemas)s) AND p.prokind <> 'a'

-- triggers --
-- Triggers of tables.
SELECT
    'trigger ' || t.tgname || ' of ' || t.tgrelid::regclass::text,
    pg_get_triggerdef(t.oid)
FROM pg_trigger AS t
INNER JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition AND NOT t.tgisinternal

-- types --
-- Types that are not those of a table's rows.
SELECT
    'type ' || t.oid::regtype::text,
    concat_ws(
        ' ', t.typtype, format_type(nullif(t.typbasetype, 0), t.typtypmod), t.typdefault,
        (SELECT string_agg(e.enumlabel, ' ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid)
    )
FROM pg_type AS t
WHERE t.typnamespace::regnamespace::text = ANY(%(schemas)s) AND t.typtype IN ('d', 'e', 'r')

-- grants --
-- Who may do what with a schema, table, view, sequence, function, or a single column.
SELECT
    'grant on ' || o.kind || ' ' || o.name,
    coalesce(string_agg(
        concat_ws(
            ' ', CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type,
            CASE WHEN g.is_grantable THEN 'with grant option' END
        ),
        ', ' ORDER BY g.grantee::regrole::text, g.privilege_type
    ), 'nobody')
FROM (
    SELECT 'schema' AS kind, n.nspname::text AS name, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
    FROM pg_namespace AS n
    WHERE n.nspname = ANY(%(schemas)s)
    UNION ALL
    SELECT
        'relation', c.oid::regclass::text,
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
    FROM pg_class AS c
    WHERE
        c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition
        AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    UNION ALL
    SELECT 'column', c.oid::regclass::text || '.' || a.attname, a.attacl
    FROM pg_class AS c
    INNER JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition AND a.attacl IS NOT NULL
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc AS p
    WHERE p.pronamespace::regnamespace::text = ANY(%(schemas)s)
) AS o
LEFT JOIN LATERAL aclexplode(o.acl) AS g ON TRUE
GROUP BY o.kind, o.name

-- comments --
-- What is said of anything, partitions aside.
SELECT
    'comment on ' || i.type || ' ' || i.identity,
    d.description
FROM pg_description AS d
CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
WHERE
    coalesce(i.schema, i.name) = ANY(%(schemas)s)
    AND NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE d.classoid = 'pg_class'::regclass AND c.oid = d.objoid AND c.relispartition
    )

-- entities --
-- Tables and views with their columns in order, for people: comments, types in short, and which columns are the primary key.
SELECT
    c.relnamespace::regnamespace::text AS schema,
    c.relname AS name,
    c.relkind = 'v' AS is_view,
    coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
    a.attname AS column_name,
    replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') AS type,
    NOT a.attnotnull AS is_nullable,
    coalesce(a.attnum = ANY(k.conkey), FALSE) AS is_key,
    coalesce(col_description(c.oid, a.attnum), '') AS column_comment
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'p'
WHERE
    c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND NOT c.relispartition
    AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY array_position(%(schemas)s::text [], c.relnamespace::regnamespace::text), c.relname, a.attnum

-- partitions --
-- Tables that are part of another.
SELECT c.oid::regclass::text
FROM pg_class AS c
WHERE c.relnamespace::regnamespace::text = ANY(%(schemas)s) AND c.relispartition AND c.relkind IN ('r', 'p')
ORDER BY 1
