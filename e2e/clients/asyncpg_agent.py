"""An agent that uses asyncpg, which caches prepared statements and executes them again without Describe."""

import asyncio
import io
import os
import ssl

import asyncpg


async def main():
    context = ssl.create_default_context(cafile=os.environ["SLUICE_CA"])
    context.set_alpn_protocols(["postgresql"])
    options = dict(
        host="127.0.0.1", port=int(os.environ["SLUICE_PORT"]), user="agent", database="orders",
        password=os.environ["PGPASSWORD"], ssl=context,
    )
    for direct in (False, True):
        conn = await asyncpg.connect(**options, direct_tls=direct)
        for i in range(1, 11):
            row = await conn.fetchrow("SELECT id, password, email, note FROM customers WHERE id = $1", i)
            assert row["id"] == i and row["password"] == "[masked]" and row["email"] == "***@example.com", row
        rows = await conn.fetch("SELECT * FROM customers ORDER BY id")
        assert len(rows) == 1000 and all(r["password"] == "[masked]" and r["api_key"] == "[masked]" for r in rows)
        try:
            await conn.fetch("SELECT 1 FROM customers WHERE password = $1", "secret-password-1")
            raise AssertionError("it was not refused")
        except asyncpg.InsufficientPrivilegeError as e:
            assert "mask" in str(e), e
        async with conn.transaction():
            assert await conn.fetchval("SELECT count(*) FROM orders") > 900
        out = io.BytesIO()
        await conn.copy_from_table("customers", columns=["id", "password"], output=out)
        assert b"secret-password" not in out.getvalue() and out.getvalue().count(b"[masked]") == 1000
        await conn.close()

    pool = await asyncpg.create_pool(**options, min_size=1, max_size=2)
    for _ in range(3):
        async with pool.acquire() as conn:  # the pool resets the session each time
            assert await conn.fetchval("SELECT password FROM customers WHERE id = $1", 7) == "[masked]"
    await pool.close()
    print("asyncpg: every claim holds")


asyncio.run(main())
