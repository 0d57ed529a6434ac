"""A FastAPI application whose sessions a Rust application wrote: GET / shows one, POST /logout ends it."""

import os
import sys
import threading
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from sessions import Session, Sessions, StoreTrouble

NAME = os.environ.get("SESSION_COOKIE", "__Host-session")
sessions = Sessions(
    os.environ["SESSION_REDIS_URL"],
    prefix=os.environ.get("SESSION_PREFIX", "session"),
    idle=int(os.environ.get("SESSION_IDLE_MS", 24 * 3_600_000)),
)
app = FastAPI()


async def session_of(request: Request, response: Response) -> Session | None:
    """The dependency: the session of the request, or None."""
    response.headers["Vary"] = "Cookie"
    response.headers["Cache-Control"] = "private, no-store"
    session = await sessions.open(only_cookie(request))
    if session:
        try:
            await sessions.touch(session)
        except StoreTrouble:
            pass  # a failed touch fails no request
    return session


CurrentSession = Annotated[Session | None, Depends(session_of)]


def only_cookie(request: Request) -> str | None:
    """The value of the one cookie of our name, byte for byte. Two of them are nobody's."""
    pairs = ";".join(request.headers.getlist("cookie")).split(";")
    pairs = [pair.lstrip(" \t") for pair in pairs]
    values = [pair[len(NAME) + 1 :] for pair in pairs if pair.startswith(f"{NAME}=")]
    return values[0] if len(values) == 1 else None


@app.exception_handler(StoreTrouble)
async def store_trouble(request: Request, error: StoreTrouble) -> Response:
    return JSONResponse({"detail": "sessions are not available"}, 503, {"Retry-After": "1"})


@app.get("/")
async def show(session: CurrentSession):
    return session and {
        "user": session.user,
        "data": session.data,
        "authentication": session.authentication,
    }


@app.post("/logout", status_code=204)
async def logout(session: CurrentSession, response: Response) -> None:
    if session:
        await sessions.end(session)
        # The removal of the cookie, by the request that ended the session.
        response.set_cookie(NAME, "", max_age=0, secure=True, httponly=True, samesite="lax")


if __name__ == "__main__":
    # Port 0: the system chooses one, and uvicorn says which. Ends with whoever started it.
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="info"))

    def end_with_parent() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()
