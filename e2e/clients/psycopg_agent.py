"""An agent that uses psycopg: text, binary, pipelines, COPY. Each check is a claim; the first that fails ends it."""

import os
import psycopg

DSN = os.environ["SLUICE_PG"]


def fails(code, run):
    try:
        run()
    except psycopg.Error as e:
        assert e.sqlstate == code, (e.sqlstate, str(e))
        return e
    raise AssertionError("it was not refused")


def check(row):
    assert row[1] == "[masked]" and row[2] == "***@example.com", row


SQL = "SELECT id, password, email, api_key FROM customers WHERE id = %s"

with psycopg.connect(DSN, autocommit=True) as conn:
    # Text results, by the extended protocol, prepared from the first execution on.
    for i in range(1, 8):
        check(conn.execute(SQL, (i,), prepare=True).fetchone())
    # Binary results.
    with conn.cursor(binary=True) as cur:
        for i in range(1, 8):
            row = cur.execute(SQL, (i,)).fetchone()
            check(row)
            assert row[0] == i and row[3] == "[masked]"
    # The simple protocol, several statements.
    with psycopg.ClientCursor(conn) as cur:
        cur.execute("SELECT 1; SELECT password FROM customers WHERE id = 1")
        cur.nextset()
        assert cur.fetchone() == ("[masked]",)
    # jsonb, which is not masked.
    assert conn.execute("SELECT note->>'tier' FROM customers WHERE id = 3").fetchone() == ("gold",)

    # A pipeline: results arrive in order, masked.
    with conn.pipeline():
        cursors = [conn.execute(SQL, (i,)) for i in range(1, 20)]
        for i, cur in enumerate(cursors, 1):
            row = cur.fetchone()
            check(row)
            assert row[0] == i
    # A pipeline with a denial in its middle: one error, and the session lives.
    def pipelined():
        with conn.pipeline():
            conn.execute("SELECT 1")
            conn.execute("DROP TABLE work")
            conn.execute("SELECT 2")
    e = fails("42501", pipelined)
    assert "never-drop" in (e.diag.message_detail or ""), e.diag.message_detail
    assert conn.execute("SELECT 3").fetchone() == (3,)

    # COPY out, as text and binary.
    with conn.cursor().copy("COPY customers (id, password, email) TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 1000 and all(r[1] == "[masked]" and r[2] == "***@example.com" for r in rows)
    with conn.cursor().copy("COPY customers (id, password) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text"])
        rows = list(copy.rows())
    assert len(rows) == 1000 and all(r[1] == "[masked]" for r in rows)

    # Where a masked column could show otherwise, the statement is refused.
    for sql in (
        "SELECT id FROM customers WHERE password LIKE 'secret%'",
        "SELECT upper(password) FROM customers",
        "SELECT to_json(c) FROM customers c",
        "SELECT max(api_key) FROM customers",
        "COPY (SELECT password FROM customers) TO STDOUT",
        "SELECT * FROM (SELECT password AS p FROM customers) s",
    ):
        e = fails("42501", lambda: conn.execute(sql))
        assert "mask" in str(e), e

    # A transaction that was denied something is failed.
    def denied_within():
        with conn.transaction():
            conn.execute("SELECT 1")
            conn.execute("TRUNCATE work")
    fails("42501", denied_within)
    assert conn.execute("SELECT 4").fetchone() == (4,)

print("psycopg: every claim holds")
