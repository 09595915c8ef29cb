-- partitioned_by --
-- How a table is in parts; null for one that is not.
SELECT pg_get_partkeydef(%(table)s::regclass)

-- parts --
-- The parts of a table.
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = %(table)s::regclass
ORDER BY c.relname

-- dropped_months --
-- Before which event time a table has nothing any more.
SELECT relation, before FROM registry.dropped_months

-- shape --
-- What a copy of a table takes over by LIKE: a table made before one of these changed is no copy any more.
SELECT
    a.attname,
    format_type(a.atttypid, a.atttypmod),
    a.attnotnull,
    a.attcollation::regcollation::text,
    a.attstorage,
    pg_get_expr(d.adbin, d.adrelid),
    col_description(a.attrelid, a.attnum)
FROM pg_attribute AS a
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- options --
-- What CREATE TABLE … LIKE does not copy: storage parameters, comment, owner.
SELECT c.reloptions, obj_description(c.oid, 'pg_class'), pg_get_userbyid(c.relowner)
FROM pg_class AS c
WHERE c.oid = %(table)s::regclass

-- constraints --
-- Primary keys and unique constraints by name; the others come with LIKE.
SELECT k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint AS k
WHERE k.conrelid = %(table)s::regclass AND k.contype IN ('p', 'u')
ORDER BY k.conname

-- indexes --
-- Indexes that belong to no constraint.
SELECT x.relname, pg_get_indexdef(i.indexrelid)
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
WHERE i.indrelid = %(table)s::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
ORDER BY i.indexrelid

-- grants --
-- Who else may do what with a table.
SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.is_grantable
FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.oid = %(table)s::regclass AND a.grantee <> c.relowner
ORDER BY 2, 1

-- views --
-- Views that read tables of a schema, with the text that binds them again by name.
SELECT DISTINCT v.oid, v.oid::regclass::text, pg_get_viewdef(v.oid), v.reloptions
FROM pg_depend AS d
JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class
JOIN pg_class AS t ON t.oid = d.refobjid
WHERE d.classid = 'pg_rewrite'::regclass
    AND d.refclassid = 'pg_class'::regclass
    AND t.relnamespace = %(schema)s::regnamespace
    AND t.relkind IN ('r', 'p')
    AND v.relkind = 'v'
ORDER BY v.oid

-- schema_comment --
-- Whether a schema is there, and what is said of it.
SELECT obj_description(n.oid, 'pg_namespace')
FROM pg_namespace AS n
WHERE n.nspname = %(schema)s

-- one_at_a_time --
-- Held by the session of a rebuild, for each database its own.
SELECT pg_advisory_lock(hashtextextended('parley rebuild', 0))

-- positions --
-- How far the tables of a schema are.
SELECT topic, partition, next_offset
FROM {schema}.positions
WHERE projection = %(projection)s

-- begin --
-- Where each partition is read from; where the rows are copies, not after what they are of.
INSERT INTO {schema}.positions AS held (projection, topic, partition, next_offset)
SELECT %(projection)s, begun.topic, begun.partition, begun.next_offset
FROM unnest(%(topics)s::text[], %(partitions)s::int4[], %(next_offsets)s::int8[]) AS begun (topic, partition, next_offset)
ON CONFLICT (projection, topic, partition) DO UPDATE SET next_offset = least(held.next_offset, excluded.next_offset)

-- forget_unread --
-- Partitions of which the live tables, which are as far, have read nothing.
DELETE FROM projector_rebuild.positions AS built
WHERE NOT EXISTS (
    SELECT FROM projector.positions AS live
    WHERE live.projection = built.projection AND live.topic = built.topic AND live.partition = built.partition
)

-- keep_dead_letters --
-- What the dead-letter topics of other services no longer hold.
INSERT INTO projector_rebuild.dead_letters
SELECT * FROM projector.dead_letters
WHERE consumer_group <> %(group)s
ON CONFLICT DO NOTHING

-- columns --
-- What the rows of a table say; when a row was written here is no part of it.
SELECT attname FROM pg_attribute
WHERE attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass AND attnum > 0 AND NOT attisdropped
    AND attname <> 'written_at'
ORDER BY attnum
