"""Is deploy/postgres/grants.yaml true of a migrated database? Every relation, right and role, in the catalog and by trying."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
import pytest
import yaml
from psycopg import sql

from services.sandbox.roles import role_dsns

FILE: Final = Path(__file__).resolve().parents[2] / "deploy/postgres/grants.yaml"
DECLARED: Final[list[dict[str, Any]]] = list(yaml.safe_load_all(FILE.read_text()))
ROLES: Final = tuple(role["role"] for role in DECLARED)
OURS: Final = ["projector", "sender", "registry", "analytics", "public"]
TRIED: Final = {"SELECT", "INSERT", "UPDATE", "DELETE"}

RELATIONS: Final = """
    SELECT n.nspname || '.' || c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
           (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attgenerated = '' ORDER BY attnum LIMIT 1)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY(%(ours)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"""
COLUMNS: Final = """
    SELECT x.grantee::regrole::text, x.privilege_type, n.nspname || '.' || c.relname || '.' || a.attname
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace,
         aclexplode(a.attacl) AS x
    WHERE n.nspname = ANY(%(ours)s)"""
FUNCTIONS: Final = """
    SELECT n.nspname || '.' || p.proname, p.oid, p.prosecdef, coalesce(p.proconfig, '{}')
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = ANY(%(ours)s)"""
LOGINS: Final = """
    SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, rolcanlogin
    FROM pg_roles WHERE rolname LIKE 'parley%%'"""
MEMBERS: Final = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member::regrole::text LIKE 'parley%%'"


class Cell(NamedTuple):
    """One question."""

    role: str
    right: str
    name: str


def table(found: dict[Cell, bool], expected: dict[Cell, bool]) -> str:
    """Every cell in a line, `!` where the file says otherwise."""
    lines = [
        f"{'!' if expected[cell] != has else ' '} {'yes' if has else 'no':3} {cell.role:17} {cell.right:10} {cell.name}"
        for cell, has in sorted(found.items())
    ]
    return "\n".join(["  as found, ! where grants.yaml says otherwise", *lines])


def agree(found: dict[Cell, bool], given: set[Cell]) -> None:
    """What is found is what the file gives, and the file gives nothing that was not looked for."""
    assert given <= set(found), f"nothing of that name: {sorted(given - set(found))}"
    expected = {cell: cell in given for cell in found}
    assert found == expected, table(found, expected)


def granted(*, columns: bool = False) -> set[Cell]:
    """Rights on whole relations, or on columns as relation.column."""
    return {
        Cell(role["role"], right, f"{name}.{column}" if columns else name)
        for role in DECLARED
        for rule in role["grants"]
        if ("columns" in rule) is columns
        for right in rule["may"]
        for name in rule["relations"]
        for column in rule.get("columns", [""])
    }


def asked(dsn: str, question: str, names: Sequence[str], rights: Sequence[str]) -> dict[Cell, bool]:
    """`has_…_privilege`, for every role and thing: what is in effect, with what everybody may."""
    cells = [Cell(role, right, name) for role in ROLES for right in rights for name in names]
    call = sql.SQL("SELECT {}(role, thing, wanted) FROM unnest(%s::text[], %s::text[], %s::text[]) AS a (role, thing, wanted)")
    with psycopg.connect(dsn) as connection:
        given = ([cell.role for cell in cells], [cell.name for cell in cells], [cell.right for cell in cells])
        answers = connection.execute(call.format(sql.Identifier(question)), given).fetchall()
    return {cell: has for cell, (has,) in zip(cells, answers, strict=True)}


def rows(dsn: str, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, {"ours": OURS}).fetchall()


def names(dsn: str, *, sequences: bool) -> list[str]:
    return [name for name, kind, *_ in rows(dsn, RELATIONS) if (kind == "S") is sequences]


def test_every_role_has_the_rights_of_the_file_on_every_relation(postgres: str) -> None:
    rights = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    sequences = asked(postgres, "has_sequence_privilege", names(postgres, sequences=True), ["USAGE", "SELECT", "UPDATE"])
    agree(asked(postgres, "has_table_privilege", names(postgres, sequences=False), rights) | sequences, granted())


def test_rights_on_single_columns_are_those_of_the_file(postgres: str) -> None:
    found = {Cell(*row) for row in rows(postgres, COLUMNS)}
    assert found == granted(columns=True)


def test_every_role_gets_into_the_schemas_of_the_file_and_makes_nothing_in_any(postgres: str) -> None:
    open_to_all = {(role, "public") for role in ROLES}  # Postgres' own default; there is nothing of ours in it
    given = {(role["role"], schema) for role in DECLARED for schema in role["schemas"]} | open_to_all
    found = asked(postgres, "has_schema_privilege", OURS, ["USAGE", "CREATE"])
    agree(found, {Cell(role, "USAGE", schema) for role, schema in given})


def test_every_role_gets_into_the_database_and_makes_no_schema_and_no_temporary_table_in_it(
    postgres: str, migrated_template: str
) -> None:
    """Asked of the database that was migrated: these rights are not copied with it."""
    found = asked(postgres, "has_database_privilege", [migrated_template], ["CONNECT", "CREATE", "TEMPORARY"])
    agree(found, {Cell(role["role"], right, migrated_template) for role in DECLARED for right in role["database"]})


def test_every_role_may_call_the_functions_of_the_file(postgres: str) -> None:
    """As far as it gets into their schemas: Postgres lets everybody call what nobody has shut."""
    inside = {role["role"]: set(role["schemas"]) for role in DECLARED}
    known = {str(oid): name for name, oid, *_ in rows(postgres, FUNCTIONS)}
    with psycopg.connect(postgres) as connection:
        call = "SELECT has_function_privilege(%s, %s::oid, 'EXECUTE')"
        found = {
            Cell(role, "EXECUTE", name): connection.execute(call, (role, oid)).fetchall() == [(True,)]
            and name.partition(".")[0] in inside[role]
            for role in ROLES
            for oid, name in known.items()
        }
    agree(found, {Cell(role["role"], "EXECUTE", name) for role in DECLARED for name in role["functions"]})


def test_no_role_has_more_than_its_login_or_owns_anything(postgres: str) -> None:
    assert sorted(rows(postgres, LOGINS)) == sorted((role, False, True) for role in ROLES)
    assert rows(postgres, MEMBERS) == []
    assert rows(postgres, "SELECT 1 FROM pg_default_acl") == []
    owners = {owner for _, _, owner, _ in rows(postgres, RELATIONS)}
    assert owners == {row[0] for row in rows(postgres, "SELECT current_user")}


def test_what_runs_with_its_owners_rights_looks_names_up_nowhere_else(postgres: str) -> None:
    """A function of that kind would else call what its caller has put in the way."""
    found = {name: settings for name, _, is_owners, settings in rows(postgres, FUNCTIONS) if is_owners}
    assert set(found) == {"sender.keep_periods", "projector.keep_months"}
    assert [name for name, settings in found.items() if "search_path=pg_catalog, pg_temp" not in settings] == []


@pytest.mark.parametrize("role", ROLES)
def test_statements_are_let_through_or_refused_as_the_file_says(postgres: str, role: str) -> None:
    """Each is explained and not run: that asks for the same rights."""
    inside = next(set(one["schemas"]) for one in DECLARED if one["role"] == role)
    found: dict[Cell, bool] = {}
    with psycopg.connect(role_dsns(postgres)[role], autocommit=True) as connection:
        for name, kind, _, column in rows(postgres, RELATIONS):
            relation = sql.Identifier(*name.split("."))
            statements = {
                "SELECT": sql.SQL("EXPLAIN SELECT * FROM {}").format(relation),
                "INSERT": sql.SQL("EXPLAIN INSERT INTO {} DEFAULT VALUES").format(relation),
                "UPDATE": sql.SQL("EXPLAIN UPDATE {} SET {} = DEFAULT").format(relation, sql.Identifier(column)),
                "DELETE": sql.SQL("EXPLAIN DELETE FROM {}").format(relation),
            }
            for right, statement in statements.items():
                if kind in "rp" or (kind == "v" and right == "SELECT"):
                    found[Cell(role, right, name)] = _is_let_through(connection, statement)
    agree(
        found, {cell for cell in granted() if cell.role == role and cell.right in TRIED and cell.name.partition(".")[0] in inside}
    )


def _is_let_through(connection: psycopg.Connection[Any], statement: sql.Composed) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True
