"""A bucket on loopback that honours, or ignores, what its service documents for writes to a new name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Bucket:
    """Speaks as much of S3 as a store asks for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.url = ""
        self.honours = True
        """Whether a write to a name that is taken is refused where the writer asked for that."""

        self.loses_answers = 0
        """So many writes are carried out, and answered with an error."""

        self.writes = 0

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            return await self._put(request)
        if request.method == "POST" and "delete" in request.query:
            for name in re.findall("<Key>(.+?)</Key>", await request.text()):
                self.objects.pop(f"{request.path.rstrip('/')}/{name}", None)
            return web.Response(text="<DeleteResult></DeleteResult>", content_type="application/xml")
        if "list-type" in request.query:
            return self._list(request)
        if (data := self.objects.get(request.path)) is None:
            return web.Response(status=404)
        headers = {"ETag": '"0"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        return web.Response(body=data, headers=headers)

    async def _put(self, request: web.Request) -> web.Response:
        self.writes += 1
        taken = self.honours and request.path in self.objects
        if taken and request.headers.get("If-None-Match") == "*":
            return web.Response(status=412)
        if taken and request.headers.get("x-oss-forbid-overwrite") == "true":
            return web.Response(status=409)
        self.objects[request.path] = await request.read()
        if self.loses_answers:
            self.loses_answers -= 1
            return web.Response(status=503)
        return web.Response(headers={"ETag": '"0"'})

    def _list(self, request: web.Request) -> web.Response:
        bucket = f"{request.path.rstrip('/')}/"
        names = [path.removeprefix(bucket) for path in self.objects]
        found = "".join(
            f"<Contents><Key>{name}</Key><Size>1</Size><LastModified>2015-10-21T07:28:00Z</LastModified>"
            f'<ETag>"0"</ETag></Contents>'
            for name in names
            if name.startswith(request.query.get("prefix", ""))
        )
        return web.Response(
            text=f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>",
            content_type="application/xml",
        )


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    bucket = Bucket()
    app = web.Application()
    app.router.add_route("*", "/{name:.*}", bucket.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    bucket.url = f"http://{host}:{port}"
    try:
        yield bucket
    finally:
        await runner.cleanup()
