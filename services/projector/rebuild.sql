-- tables --
-- The tables of a schema, those that are in parts as a whole.
SELECT c.relname
FROM pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname

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
SELECT pg_get_indexdef(i.indexrelid)
FROM pg_index AS i
WHERE i.indrelid = %(table)s::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
ORDER BY i.indexrelid

-- grants --
-- Who else may do what with a table.
SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.is_grantable
FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.oid = %(table)s::regclass AND a.grantee <> c.relowner

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

-- live_positions --
-- How far the live tables are.
SELECT topic, partition, next_offset
FROM projector.positions
WHERE projection = %(projection)s

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
