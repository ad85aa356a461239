"""Probes and metrics, on one port."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Say = Callable[[], str]


async def serve_probes(
    host: str, port: int, *, sick: Say, unready: Say, role: Say
) -> web.AppRunner:
    """sick, unready: why it is so, or empty. role: what a ready replica does."""

    async def healthz(_: web.Request) -> web.Response:
        why = sick()
        return web.Response(text=why or "ok", status=500 if why else 200)

    async def readyz(_: web.Request) -> web.Response:
        why = unready()
        return web.Response(text=why or role(), status=503 if why else 200)

    async def metrics(_: web.Request) -> web.Response:
        page, kind = generate_latest(), CONTENT_TYPE_LATEST
        return web.Response(body=page, headers={"Content-Type": kind})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
