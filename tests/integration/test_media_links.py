"""Does a link lead the sender anywhere it should not go? A trap on an address that is not public counts who comes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from services.sender.media import fetch
from services.sender.media.facts import NotPrepared
from services.sender.media.fetch import Fetched, Fetcher, Surroundings
from services.sender.media.spool import Spool
from tests.support.link_server import HOST, LinkServer, Pretend, link_server, trust
from tests.support.media_files import JPEG, of_size

GOOD = "127.0.0.1"
TRAP = "127.0.0.2"
"""On this machine too, but not among what these tests take for public."""
MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LinkServer]:
    """What may be reached."""
    with link_server(tmp_path) as made:
        yield made


@pytest.fixture
def trap(server: LinkServer, tmp_path: Path) -> Iterator[LinkServer]:
    """What must not be: at the same port and with the same certificate, so that only its address keeps anybody away."""
    with link_server(tmp_path, address=TRAP, port=server.port) as made:
        made.put("/secret.jpg", JPEG, "image/jpeg")
        yield made


NAMES = {
    "rebind.example.com": [[GOOD], [TRAP]],
    "rebind-late.example.com": [[GOOD], [GOOD], [TRAP]],
    "both.example.com": [[GOOD, TRAP]],
    "both-turned.example.com": [[TRAP, GOOD]],
    "trap.example.com": [[TRAP]],
    "loop6.example.com": [["::1"]],
    "mapped.example.com": [[f"::ffff:{TRAP}"]],
    "metadata.example.com": [["169.254.169.254"]],
    "private.example.com": [["10.0.0.1"]],
}


def fetched(
    server: LinkServer, link: str, *, media_type: str = "image", address: str | None = GOOD, hosts: tuple[str, ...] = ()
) -> Fetched | NotPrepared | None:
    """What becomes of a link, with one address taken for the public internet."""
    names = {name: chain(answers, repeat(answers[-1])) for name, answers in NAMES.items()}
    surroundings = Surroundings(
        resolver=lambda: Pretend(server.port, names),
        is_public=lambda one: one == address,
        trust=lambda: trust(server.certificate),
    )

    async def get() -> Fetched | NotPrepared | None:
        async with aiohttp.ClientSession(**fetch.session_options(surroundings)) as session:
            with Spool(None, most=5 * MIB) as room:
                try:
                    return await Fetcher(session, hosts=hosts).fetch(link, room, media_type=media_type, known=None)
                except NotPrepared as problem:
                    return problem

    return server.run(get())


def test_what_is_public_is_fetched_with_nothing_but_the_request(server: LinkServer) -> None:
    found = fetched(server, server.put("/a.jpg", JPEG, "image/jpeg", ETag='"1"', Set_Cookie="a=b"))
    assert isinstance(found, Fetched)
    assert (found.content.file.size, found.content.file.mime_type, found.etag) == (len(JPEG), "image/jpeg", '"1"')
    [(method, _, headers)] = server.seen
    assert method == "GET"
    assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert headers["Accept-Encoding"] == "identity"


def test_the_trap_catches_whoever_is_not_kept_from_it(server: LinkServer, trap: LinkServer) -> None:
    assert isinstance(fetched(server, "https://trap.example.com/secret.jpg", address=TRAP), Fetched)
    assert trap.fetches("/secret.jpg") == 1


HOSTILE = [
    f"https://{TRAP}/secret.jpg", "https://127.2/secret.jpg", "https://0x7f.2/secret.jpg", "https://0x7f000002/secret.jpg",
    "https://017700000002/secret.jpg", "https://2130706434/secret.jpg", "https://0177.0.0.2/secret.jpg",
    f"https://[::ffff:{TRAP}]/secret.jpg", "https://[::ffff:7f00:2]/secret.jpg", "https://[::1]/secret.jpg",
    "https://[64:ff9b::7f00:2]/secret.jpg", "https://[2002:7f00:2::]/secret.jpg", "https://[fe80::1%25lo]/secret.jpg",
    "https://0/secret.jpg", "https://127.1/secret.jpg", "https://169.254.169.254/latest/meta-data/",
    f"http://{TRAP}/secret.jpg", f"http://{HOST}/secret.jpg", f"https://{HOST}:8443/secret.jpg", f"https://{HOST}:80/secret.jpg",
    f"https://user@{HOST}/secret.jpg", f"https://user:secret@{HOST}/secret.jpg", f"https://{HOST}@{TRAP}/secret.jpg",
    f"https://{TRAP}#@{HOST}/secret.jpg", f"https://{HOST}\\@{TRAP}/secret.jpg", f"https://{TRAP}\\.{HOST}/secret.jpg",
    "file:///etc/passwd", f"file://{HOST}/secret.jpg", f"gopher://{TRAP}:70/_GET", f"ftp://{HOST}/secret.jpg",
    "data:image/jpeg;base64,/9j/", f"//{TRAP}/secret.jpg", "https://localhost/secret.jpg", "https://localhost./secret.jpg",
    "https://trap.localhost/secret.jpg", f"https://{TRAP}./secret.jpg", f"https://{HOST}./secret.jpg",
    "https://１２７.0.0.2/secret.jpg", "https://127。0。0。2/secret.jpg", "https://ⓣⓡⓐⓟ.example.com/secret.jpg",
    "https://trap.exämple.com/secret.jpg", f"https://{HOST}%00.trap.example.com/secret.jpg", f"https://{HOST}/\r\nHost: {TRAP}",
    "https://trap.example.com/secret.jpg", "https://both.example.com/secret.jpg", "https://both-turned.example.com/secret.jpg",
    "https://loop6.example.com/secret.jpg", "https://mapped.example.com/secret.jpg", "https://metadata.example.com/latest/",
    "https://private.example.com/secret.jpg",
]  # fmt: skip


@pytest.mark.parametrize("link", HOSTILE)
def test_no_link_reaches_the_trap_by_itself_or_by_a_redirect(server: LinkServer, trap: LinkServer, link: str) -> None:
    first = server.redirect("/second", link.replace("\r\n", ""))
    for tried in (link, first, server.redirect("/first", "/second", 307)):
        found = fetched(server, tried)
        assert isinstance(found, NotPrepared)
        assert found.is_final, f"{found.text}: kept away by the guard, not by chance"
    assert trap.seen == []


@pytest.mark.parametrize("host", ["rebind.example.com", "rebind-late.example.com"])
def test_a_name_that_changes_its_mind_does_not_reach_the_trap(server: LinkServer, trap: LinkServer, host: str) -> None:
    server.redirect("/start.jpg", f"https://{host}/again.jpg")
    server.redirect("/again.jpg", f"https://{host}/secret.jpg")
    found = fetched(server, f"https://{host}/start.jpg")
    assert isinstance(found, NotPrepared)
    assert (found.text, found.is_final) == ("leads to an address that is not public", True)
    assert server.fetches("/start.jpg") == 1
    assert trap.seen == []


def test_the_real_internet_is_all_that_is_public_by_default(server: LinkServer) -> None:
    """Nothing on this machine is, whatever its name."""
    surroundings = Surroundings(resolver=lambda: Pretend(server.port), trust=lambda: trust(server.certificate))

    async def get() -> str:
        async with aiohttp.ClientSession(**fetch.session_options(surroundings)) as session:
            with Spool(None, most=MIB) as room, pytest.raises(NotPrepared) as caught:
                await Fetcher(session, hosts=()).fetch(f"https://{HOST}/a.jpg", room, media_type="image", known=None)
            return caught.value.text

    assert server.run(get()) == "leads to an address that is not public"
    assert server.seen == []


def test_three_redirects_are_followed_and_no_more(server: LinkServer) -> None:
    server.put("/0", JPEG, "image/jpeg")
    for step in range(1, 5):
        server.redirect(f"/{step}", f"/{step - 1}")
    assert isinstance(fetched(server, f"https://{HOST}/3"), Fetched)
    found = fetched(server, f"https://{HOST}/4")
    assert isinstance(found, NotPrepared)
    assert found.text == "more than 3 redirects"


def test_a_list_of_hosts_holds_for_redirects_too(server: LinkServer) -> None:
    server.put("/a.jpg", JPEG, "image/jpeg")
    away = server.redirect("/away", "https://other.example.com/a.jpg")
    assert isinstance(fetched(server, f"https://{HOST}/a.jpg", hosts=(HOST,)), Fetched)
    for link in (away, "https://other.example.com/a.jpg"):
        found = fetched(server, link, hosts=(HOST,))
        assert isinstance(found, NotPrepared)
        assert found.text == "not a host of PARLEY_MEDIA_HOSTS"


def test_a_host_that_is_not_who_it_says_is_not_believed(server: LinkServer) -> None:
    found = fetched(server, "https://cdn.example.org/a.jpg")
    assert isinstance(found, NotPrepared)
    assert (found.text, found.is_final, server.seen) == ("the host's certificate is not good", True, [])


def chunked(size: int) -> web.Response:
    """A body whose length is told nowhere."""
    body = io.BytesIO(of_size(JPEG, size))
    response = web.Response(body=body, headers={"Content-Type": "image/jpeg"})
    response.enable_chunked_encoding()
    return response


def saying(body: bytes, content_type: str, **headers: str) -> Callable[[web.Request], web.StreamResponse]:
    sent = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return lambda _request: web.Response(body=body, headers=sent)


def status(code: int) -> Callable[[web.Request], web.StreamResponse]:
    return lambda _request: web.Response(status=code)


@pytest.mark.parametrize(
    ("answer", "text", "is_final"),
    [
        (saying(b"<html>", "text/html"), "its Content-Type is not one that can be sent as image", True),
        (saying(JPEG, "application/octet-stream"), "its Content-Type is not one that can be sent as image", True),
        (saying(b"%PDF-1.7", "application/pdf"), "its Content-Type is not one that can be sent as image", True),
        (saying(b"<html>", "image/jpeg"), "its bytes are not image/jpeg", True),
        (saying(JPEG, "image/png"), "its bytes are not image/png", True),
        (saying(of_size(JPEG, 5 * MIB + 1), "image/jpeg"), "5242881 bytes, at most 5242880", True),
        (lambda _: chunked(5 * MIB + 1), "more than 5242880 bytes", True),
        (
            saying(b"\x1f\x8b", "image/jpeg", Content_Encoding="gzip"),
            "the host compresses what it was asked for as it is",
            True,
        ),
        (status(404), "the host answered 404", True),
        (status(304), "the host answered 304", True),
        (status(429), "the host answered 429", False),
        (status(503), "the host answered 503", False),
    ],
)
def test_what_a_host_answers_wrongly_is_told(
    server: LinkServer, answer: Callable[[web.Request], web.StreamResponse], text: str, is_final: bool
) -> None:
    server.answers["/a.jpg"] = answer
    found = fetched(server, f"https://{HOST}/a.jpg")
    assert isinstance(found, NotPrepared)
    assert (found.text, found.is_final) == (text, is_final)


def test_exactly_the_largest_file_is_taken_even_without_a_length(server: LinkServer) -> None:
    server.answers["/a.jpg"] = lambda _: chunked(5 * MIB)
    found = fetched(server, f"https://{HOST}/a.jpg")
    assert isinstance(found, Fetched)
    assert found.content.file.size == 5 * MIB
