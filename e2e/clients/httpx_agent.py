"""An agent that uses httpx, with HTTP/1.1 and HTTP/2."""

import json
import os
import ssl

import httpx

context = ssl.create_default_context(cafile=os.environ["SLUICE_HTTP_CA"])
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
for http2 in (False, True):
    with httpx.Client(base_url=os.environ["SLUICE_HTTP"], headers=headers, verify=context, http2=http2, timeout=20) as client:
        for i in range(1, 6):
            response = client.get(f"/customers/{i}")
            assert response.status_code == 200 and response.http_version == ("HTTP/2" if http2 else "HTTP/1.1"), response
            customer = response.json()
            assert customer["id"] == i and customer["password"] == "[masked]" and customer["api_key"] == "[masked]", customer
        assert len(client.get("/customers", params={"limit": 1000}).json()) == 1000
        denied = client.post("/customers", json={"name": "x"})
        assert denied.status_code == 403 and denied.headers["content-type"] == "application/problem+json", denied
        assert denied.json()["type"].startswith("urn:sluice:problem:") and "agents-get" in denied.json()["hint"], denied.json()
        size = 0
        with client.stream("GET", "/export", params={"mb": 5}) as stream:
            for chunk in stream.iter_bytes():
                assert b"secret-password" not in chunk and b"sk-live-key" not in chunk
                size += len(chunk)
        assert size > 3 << 20, size
        events = 0
        with client.stream("GET", "/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    assert json.loads(line[6:])["password"] == "[masked]", line
                    events += 1
                    if events == 3:
                        break
print("every claim holds")
