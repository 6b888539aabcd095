"""A server that is slower than any load generator, to compare generators with: answers /hello after so many seconds."""

import asyncio
import sys
from email.utils import formatdate

PORT, DELAY = int(sys.argv[1]), float(sys.argv[2])
ANSWER = (
    f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\n"
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
).encode()


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        # What sends requests in pieces is not for this server.
        if DELAY:
            asyncio.get_running_loop().call_later(DELAY, self.answer, data)
        else:
            self.answer(data)

    def answer(self, requests):
        self.transport.write(ANSWER * requests.count(b"\r\n\r\n"))
        if b"connection: close" in requests.lower():
            self.transport.close()


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(main())
