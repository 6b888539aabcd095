"""What httpx sees over HTTP/2: many answers at once, bodies both ways, fields as they were sent."""

import asyncio
import hashlib
import sys

import httpx

BASE = sys.argv[1]


async def main():
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        http1=False, http2=True, limits=limits, timeout=30, trust_env=False
    ) as client:
        answers = await asyncio.gather(
            *(client.get(f"{BASE}/bytes/{1000 * number}") for number in range(80))
        )
        for number, answer in enumerate(answers):
            assert answer.http_version == "HTTP/2", answer.http_version
            assert answer.status_code == 200, answer.status_code
            assert len(answer.content) == 1000 * number, len(answer.content)

        bodies = [bytes([number]) * (30_000 + number) for number in range(40)]
        answers = await asyncio.gather(
            *(client.post(f"{BASE}/echo", content=body) for body in bodies)
        )
        for body, answer in zip(bodies, answers, strict=True):
            sent, came = hashlib.sha256(body), hashlib.sha256(answer.content)
            assert sent.digest() == came.digest(), (len(body), len(answer.content))

        async def pieces():
            for number in range(50):
                yield b"piece %d\n" % number
                await asyncio.sleep(0)

        answer = await client.post(f"{BASE}/echo", content=pieces())
        assert answer.text == "".join(f"piece {number}\n" for number in range(50))

        for status in (204, 304, 404, 500):
            answer = await client.get(f"{BASE}/status/{status}")
            assert answer.status_code == status, answer.status_code

        answer = await client.head(f"{BASE}/bytes/12345")
        assert answer.headers["content-length"] == "12345", answer.headers
        assert answer.content == b""
    print("all is well")


asyncio.run(main())
