"""The partner: `python -m tests.partner.server` prints its port, then serves.

`POST /reset` begins anew. Every effect is a line `key object operation` of a file, written before
the answer. What the next calls meet is scripted by `POST /script`: a list of faults, one a call.
"""

import asyncio
import os
import sys

from aiohttp import web

FAULTS = {
    "throttle": (429, {"Retry-After": "0.2"}),
    "refuse": (422, {}),
    "fail_before": (503, {}),
}


class Partner:
    def __init__(self, effects: str, *, knows_keys: bool) -> None:
        self.file = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.knows_keys = knows_keys
        self.done: dict[str, str] = {}
        self.script: list[str] = []
        self.calls = 0
        self.running = 0
        self.most_running = 0

    async def do(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._do(request, self.script.pop(0) if self.script else "")
        finally:
            self.running -= 1

    async def _do(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault in FAULTS:
            status, headers = FAULTS[fault]
            return web.json_response({"fault": fault}, status=status, headers=headers)
        if fault.startswith("slow"):
            await asyncio.sleep(float(fault[4:]))
        body = await request.json()
        key = request.headers["Idempotency-Key"]
        if not (self.knows_keys and key in self.done):
            os.write(self.file, f"{key} {body['object']} {body['operation']}\n".encode())
        self.done[key] = f"ref-{len(self.done)}"
        if fault == "silent_after":
            await asyncio.sleep(60)
        if fault == "fail_after":
            return web.json_response({}, status=500)
        if fault == "drop_after" and request.transport is not None:
            request.transport.close()
        if fault == "accept":
            self.done[key] = "accepted"
            return web.json_response({"reference": "job-1"}, status=202)
        return web.json_response({"reference": self.done[key]})

    async def look_up(self, request: web.Request) -> web.Response:
        reference = self.done.get(request.match_info["key"])
        if self.script and self.script[0] == "blind":
            self.script.pop(0)
            return web.json_response({}, status=503)
        if reference is None:
            return web.json_response({}, status=404)
        if reference == "accepted":
            self.done[request.match_info["key"]] = "ref-later"
            return web.json_response({}, status=202)
        return web.json_response({"reference": reference})

    async def set_script(self, request: web.Request) -> web.Response:
        self.script = await request.json()
        return web.json_response({})

    async def counts(self, _request: web.Request) -> web.Response:
        return web.json_response({"calls": self.calls, "most_running": self.most_running})


class Door:
    """The routes; they lead to the partner of the newest reset."""

    def __init__(self) -> None:
        self.partner = Partner("/dev/null", knows_keys=False)

    async def reset(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.partner = Partner(body["effects"], knows_keys=body["knows_keys"])
        return web.json_response({})

    async def route(self, request: web.Request) -> web.StreamResponse:
        partner = self.partner
        routes = {
            "do": partner.do, "done": partner.look_up, "script": partner.set_script,
            "counts": partner.counts,
        }  # fmt: skip
        return await routes[request.match_info["act"]](request)


async def serve() -> None:
    door = Door()
    app = web.Application()
    app.add_routes([
        web.post("/reset", door.reset), web.get("/{act:done}/{key}", door.route),
        web.post("/{act:do|script}", door.route), web.get("/{act:counts}", door.route),
    ])  # fmt: skip
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
