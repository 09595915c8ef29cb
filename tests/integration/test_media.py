"""Is media uploaded once for a number and content, and does its message go out once? On real Kafka, Postgres, files and TLS."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import pytest

from services.common.domain.records import SendMessage
from services.common.platform import postgres as postgres_pool
from services.sandbox.providers import Kafka
from services.sandbox.simulator.records import Upload
from services.sandbox.simulator.rules import Delay, DropAfter, Error
from services.sender.media.facts import Want
from services.sender.media.fetch import Fetcher
from services.sender.media.ledger import Ledger
from services.sender.media.making import Making
from services.sender.media.preparing import OF_ONE_NUMBER
from services.sender.media.references import Source
from services.sender.media.upload import Uploader
from tests.support.link_server import HOST, LinkServer, link_server
from tests.support.media_files import JPEG, PDF, of_size
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, TOKEN, WABA, Scene, now_ms, scene, template, text
from tests.support.sent_once import assert_each_once_and_told
from tests.support.waiting import wait_for

OTHER = "106540352242933"
PEOPLE = [f"49170000000{n}" for n in range(1, 7)]
MIB = 1024 * 1024


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """Two numbers, and people who wrote to both of them lately."""
    with scene(cluster, postgres, pair_limit="false") as made:
        made.register()
        made.register(OTHER, phone="15550100002")
        for person in PEOPLE:
            made.open_window(person)
            made.open_window(person, OTHER)
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The directory of media files."""
    made = tmp_path / "media"
    made.mkdir()
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LinkServer]:
    """What links lead to."""
    with link_server(tmp_path) as made:
        yield made


def sender_of(stage: Scene, files: Path, server: LinkServer | None = None, **more: str) -> ServiceProcess:
    """A sender with a directory of files; with a server, one for which all links lead there."""
    env = {**stage.env, "PARLEY_MEDIA_DIR": str(files), **more}
    if server is None:
        return ServiceProcess("sender", env)
    links = {"LINK_SERVER_PORT": str(server.port), "LINK_SERVER_CERTIFICATE": str(server.certificate)}
    return ServiceProcess("sender", {**env, **links}, module="tests.support.sender_of_links")


def message(kind: str, media: dict[str, Any], to: str = PEOPLE[0], **fields: Any) -> SendMessage:
    """A command that is media."""
    return text(type=kind, content=orjson.dumps(media).decode(), to=f"+{to}", **fields)


def uploads(stage: Scene) -> list[Upload]:
    """What reached Meta."""
    return stage.ask(lambda client: client.media())


def test_one_file_for_many_people_is_uploaded_once_for_each_number(stage: Scene, files: Path) -> None:
    (files / "bills").mkdir()
    (files / "bills" / "1.pdf").write_bytes(PDF)
    (files / "copy.pdf").write_bytes(PDF)
    media = {"file": "bills/1.pdf", "caption": "Your bill"}
    commands = [message("document", media, to, phone_number_id=number) for to in PEOPLE[:3] for number in (NUMBER, OTHER)]
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        stage.put(*commands)
        assert {stage.wait_outcome(command).kind for command in commands} == {"accepted"}
        assert sorted(one.phone_number_id for one in uploads(stage)) == [NUMBER, OTHER]
        assert {one.sha256 for one in uploads(stage)} == {hashlib.sha256(PDF).hexdigest()}
        again = message("document", {"file": "copy.pdf"}, PEOPLE[3])
        sender.kill()
        sender.start().wait_ready()
        stage.put(again)
        assert stage.wait_outcome(again).kind == "accepted"
        assert len(uploads(stage)) == 2, "the same bytes under another name, in another life of the process"
    assert_each_once_and_told(stage, [*commands, again])


def test_one_content_under_two_names_is_uploaded_once(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(of_size(PDF, 3 * MIB))
    (files / "b.pdf").write_bytes(of_size(PDF, 3 * MIB))
    commands = [message("document", {"file": name}, to) for to in PEOPLE for name in ("a.pdf", "b.pdf")]
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        stage.put(*commands)
        assert {stage.wait_outcome(command).kind for command in commands} == {"accepted"}
    assert len(uploads(stage)) == 1


def test_two_processes_upload_one_content_of_one_number_once(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    stage.ask(lambda client: client.rules(Delay(seconds=1.0), seconds=60.0, endpoint="media"))
    want = Want(phone_number_id=NUMBER, media_type="document", source=Source("file", "a.pdf"))

    async def both() -> list[BaseException | None]:
        async with (
            postgres_pool.pool(stage.dsn, service="test") as one,
            postgres_pool.pool(stage.dsn, service="test") as two,
            aiohttp.ClientSession() as session,
        ):
            fetcher = Fetcher(session, hosts=())
            uploader = Uploader(session, base_url=stage.graph_url, version="v25.0")
            makings = [
                Making(
                    Ledger(pool),
                    fetcher,
                    uploader,
                    directory=files,
                    spool_directory=None,
                    token=lambda _: TOKEN,
                    stopping=asyncio.Event(),
                )
                for pool in (one, two)
            ]
            told = await asyncio.gather(*(making.make(want) for making in makings), return_exceptions=True)
            await asyncio.gather(*(making.make(want) for making in makings))
            return told

    assert sorted(type(one).__name__ for one in asyncio.run(both())) == ["NoneType", "Taken"]
    assert len(uploads(stage)) == 1


def test_a_link_is_fetched_once_and_uploaded_once(stage: Scene, files: Path, server: LinkServer) -> None:
    link = server.put("/pictures/a.jpg", JPEG, "image/jpeg", ETag='"1"')
    moved = server.redirect("/old.jpg", "/pictures/a.jpg")
    commands = [message("image", {"link": link, "upload": True}, to) for to in PEOPLE]
    with sender_of(stage, files, server) as sender:
        sender.wait_ready()
        stage.put(*commands)
        assert {stage.wait_outcome(command).kind for command in commands} == {"accepted"}
        assert server.fetches("/pictures/a.jpg") == 1
        there = message("image", {"link": moved, "upload": True})
        stage.put(there)
        assert stage.wait_outcome(there).kind == "accepted"
        stage.sql("UPDATE sender.media_sources SET checked_at = now() - interval '11 minutes'")
        later = message("image", {"link": link, "upload": True})
        stage.put(later)
        assert stage.wait_outcome(later).kind == "accepted"
        assert server.seen[-1][2]["If-None-Match"] == '"1"'
        assert "example.com/pictures" not in sender.log, "no path of a link is logged"
    assert len(uploads(stage)) == 1
    assert not {"cookie", "authorization"} & {name.lower() for _, _, headers in server.seen for name in headers}


def test_what_does_not_fit_is_refused_with_the_field(stage: Scene, files: Path, server: LinkServer) -> None:
    (files / "big.jpg").write_bytes(of_size(JPEG, 5 * MIB + 1))
    (files / "false.png").write_bytes(JPEG)
    (files / "note.xyz").write_bytes(JPEG)
    (files / "out.pdf").symlink_to("/etc/hostname")
    big = server.put("/big.jpg", of_size(JPEG, 5 * MIB + 1), "image/jpeg")
    inside = server.redirect("/inside.jpg", "https://127.0.0.1/secret.jpg")
    page = server.put("/page.jpg", b"<html>", "text/html")
    hopeless = [
        (message("image", {"file": "big.jpg"}), "media", "image.file: 5242881 bytes, at most 5242880"),
        (message("image", {"file": "false.png"}, PEOPLE[1]), "media", "image.file: its bytes are not image/png"),
        (
            message("image", {"file": "note.xyz"}, PEOPLE[2]),
            "media",
            "image.file: its name does not end as that of a type which Meta takes",
        ),
        (message("document", {"file": "out.pdf"}, PEOPLE[3]), "media", "document.file: no such file"),
        (
            message("document", {"file": "../etc/hostname"}, PEOPLE[3]),
            "media",
            "document.file: not the path of a file below the directory of media files",
        ),
        (message("document", {"file": "none.pdf"}, PEOPLE[4]), "media", "document.file: no such file"),
        (message("image", {"link": big, "upload": True}, PEOPLE[5]), "media_link", "image.link: 5242881 bytes, at most 5242880"),
        (
            message("image", {"link": inside, "upload": True}),
            "media_link",
            "image.link: not the name of a public host",
        ),
        (
            message("image", {"link": page, "upload": True}, PEOPLE[1]),
            "media_link",
            "image.link: its Content-Type is not one that can be sent as image",
        ),
    ]
    with sender_of(stage, files, server) as sender:
        sender.wait_ready()
        stage.put(*(command for command, _, _ in hopeless))
        told = [stage.wait_outcome(command) for command, _, _ in hopeless]
    assert [(one.kind, one.reason, one.detail) for one in told] == [("refused", reason, detail) for _, reason, detail in hopeless]
    assert (uploads(stage), stage.arrivals()) == ([], [])


def test_a_link_that_is_too_big_goes_as_a_text_where_the_command_says_so(stage: Scene, files: Path, server: LinkServer) -> None:
    link = server.put("/big.jpg", of_size(JPEG, 5 * MIB + 1), "image/jpeg")
    (files / "big.jpg").write_bytes(of_size(JPEG, 5 * MIB + 1))
    media = {"link": link, "upload": True, "caption": "The plan"}
    commands = [
        message("image", media, oversize="link"),
        message("image", media, PEOPLE[1]),
        message("image", {"file": "big.jpg"}, PEOPLE[2], oversize="link"),
    ]
    with sender_of(stage, files, server) as sender:
        sender.wait_ready()
        stage.put(*commands)
        told = [stage.wait_outcome(command) for command in commands]
    assert [(one.kind, one.reason) for one in told] == [("accepted", None), ("refused", "media_link"), ("refused", "media")]
    [arrival] = stage.arrivals()
    assert arrival.type == "text"


BILL = ({"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Your bill"})


def test_media_in_a_template_and_in_a_carousel_is_uploaded(stage: Scene, files: Path) -> None:
    stage.ask(lambda client: client.add_template(WABA, "bill", "en_US", components=BILL))
    (files / "a.jpg").write_bytes(JPEG)
    header = {"type": "image", "image": {"file": "a.jpg"}}
    card = {
        "type": "cta_url",
        "header": header,
        "body": {"text": "A card"},
        "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com"}},
    }
    cards = {"type": "carousel", "body": {"text": "Two"}, "action": {"cards": [{**card, "card_index": n} for n in (0, 1)]}}
    bill = {"name": "bill", "language": {"code": "en_US"}, "components": [{"type": "header", "parameters": [header]}]}
    commands = [
        message("interactive", cards),
        message("template", bill, PEOPLE[1]),
    ]
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        stage.put(*commands)
        assert [stage.wait_outcome(command).kind for command in commands] == ["accepted", "accepted"]
    assert len(uploads(stage)) == 1


def test_a_document_of_100_mib_passes_through_without_standing_in_memory(stage: Scene, files: Path) -> None:
    (files / "large.pdf").write_bytes(of_size(PDF, 100 * MIB))
    command = message("document", {"file": "large.pdf"})
    highest = 0
    with sender_of(stage, files) as sender:
        process = psutil.Process(sender.wait_ready().pid)
        before = process.memory_info().rss

        def is_there() -> bool:
            nonlocal highest
            highest = max(highest, process.memory_info().rss)
            return bool(stage.accepted())

        stage.put(command)
        wait_for(is_there, 60.0, "the document")
    assert [one.size for one in uploads(stage)] == [100 * MIB]
    assert highest - before < 24 * MIB


def test_an_id_of_another_number_or_past_its_time_is_refused(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        first = message("document", {"file": "a.pdf"})
        stage.put(first)
        assert stage.wait_outcome(first).kind == "accepted"
        [upload] = uploads(stage)
        own = message("document", {"id": upload.id}, PEOPLE[1])
        foreign = message("document", {"id": upload.id}, PEOPLE[2], phone_number_id=OTHER)
        stage.put(own, foreign)
        assert stage.wait_outcome(own).kind == "accepted"
        told = stage.wait_outcome(foreign)
        assert (told.reason, told.detail) == ("media", "document.id: uploaded for another number")
        stage.sql("UPDATE sender.media SET uploaded_at = now() - interval '31 days', expires_at = now() - interval '1 day'")
        late = message("document", {"id": upload.id}, PEOPLE[3])
        again = message("document", {"file": "a.pdf"}, PEOPLE[4])
        stage.put(late, again)
        told = stage.wait_outcome(late)
        assert (told.reason, told.detail) == ("media", "document.id: uploaded more than 30 days ago")
        assert stage.wait_outcome(again).kind == "accepted"
    assert len(uploads(stage)) == 2


def test_an_id_that_meta_does_not_know_any_more_is_uploaded_again_once(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        first = message("document", {"file": "a.pdf"})
        stage.put(first)
        stage.wait_outcome(first)
        [upload] = uploads(stage)
        stage.ask(lambda client: client.delete_media(upload.id))
        second = message("document", {"file": "a.pdf"}, PEOPLE[1])
        stage.put(second)
        outcome = stage.wait_outcome(second)
        assert (outcome.kind, outcome.attempt_no) == ("accepted", 2)
        fresh = uploads(stage)[-1]
        assert len(uploads(stage)) == 2
        stage.ask(lambda client: client.delete_media(fresh.id))
        third = message("document", {"file": "a.pdf"}, PEOPLE[2])
        stage.put(third)
        assert stage.wait_outcome(third).kind == "rejected", "not for ever"
    assert len(uploads(stage)) == 2


def test_media_that_meta_could_not_use_after_all_is_uploaded_again(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    with sender_of(stage, files, PARLEY_SENDER_SETTLE_SECONDS="0.1") as sender:
        sender.wait_ready()
        first = message("document", {"file": "a.pdf"})
        stage.put(first)
        stage.wait_outcome(first)
        [arrival] = stage.arrivals()
        stage.fail(arrival, 131053)
        assert stage.wait_outcome(first, "late_failure").error_code == 131053
        second = message("document", {"file": "a.pdf"}, PEOPLE[1])
        stage.put(second)
        assert stage.wait_outcome(second).kind == "accepted"
    assert len({upload.id for upload in uploads(stage)}) == 2


def test_an_upload_that_fails_for_now_is_made_again_and_holds_up_nobody(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    stage.ask(lambda client: client.rules(Error(code=131000), times=2, endpoint="media"))
    stage.ask(lambda client: client.rules(DropAfter(), times=1, endpoint="media"))
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        slow, quick = message("document", {"file": "a.pdf"}), text(to=f"+{PEOPLE[1]}")
        stage.put(slow, quick)
        assert stage.wait_outcome(quick).kind == "accepted"
        assert stage.wait_outcome(slow, seconds=30.0).kind == "accepted"
        order = [arrival.recipient for arrival in stage.arrivals()]
        assert order == [f"+{PEOPLE[1]}", f"+{PEOPLE[0]}"]
        metric = sender.metric("parley_media_prepared_total", outcome="failed")
    assert metric == 3


def test_slow_links_of_a_number_hold_up_neither_its_texts_nor_the_media_of_another(
    stage: Scene, files: Path, server: LinkServer
) -> None:
    (files / "a.pdf").write_bytes(PDF)
    slow = [f"/slow/{n}.jpg" for n in range(len(PEOPLE))]
    server.slow |= set(slow)
    stuck = [
        message("image", {"link": f"https://{HOST}{path}", "upload": True}, to) for path, to in zip(slow, PEOPLE, strict=True)
    ]
    with sender_of(stage, files, server) as sender:
        sender.wait_ready()
        stage.put(*stuck)
        wait_for(lambda: len(server.seen) == OF_ONE_NUMBER, 20.0, "the links to be asked for")
        quick = [template(to=f"+{PEOPLE[0]}", lane="otp"), message("document", {"file": "a.pdf"}, phone_number_id=OTHER)]
        stage.ask(lambda client: client.add_template(WABA, "order_update", "en_US", category="AUTHENTICATION"))
        stage.put(*quick)
        assert {stage.wait_outcome(command).kind for command in quick} == {"accepted"}
        assert {stage.states()[command.command_id] for command in stuck} == {"waiting"}
        assert len(server.seen) == OF_ONE_NUMBER


def test_a_command_whose_media_never_comes_expires(stage: Scene, files: Path) -> None:
    (files / "a.pdf").write_bytes(PDF)
    stage.ask(lambda client: client.rules(Error(code=80008), seconds=600.0, endpoint="media"))
    with sender_of(stage, files) as sender:
        sender.wait_ready()
        command = message("document", {"file": "a.pdf"}, expires_at=now_ms() + 4_000)
        stage.put(command)
        assert stage.wait_outcome(command).reason == "expired"
    assert stage.arrivals() == []


def test_without_a_directory_a_file_is_refused(stage: Scene) -> None:
    with stage.sender() as sender:
        sender.wait_ready()
        command = message("document", {"file": "a.pdf"})
        stage.put(command)
        told = stage.wait_outcome(command)
    assert (told.reason, told.detail) == ("media", "document.file: no directory of media files is configured")


@pytest.mark.parametrize("point", ["sender.media_before_upload", "sender.media_after_upload"])
def test_a_sender_killed_around_an_upload_sends_each_message_once(stage: Scene, files: Path, point: str) -> None:
    (files / "a.pdf").write_bytes(PDF)
    commands = [message("document", {"file": "a.pdf"}, to) for to in PEOPLE]
    with sender_of(stage, files) as sender:
        sender.kill()
        sender.start(PARLEY_FAULT=f"{point}:1:kill")
        stage.put(*commands)
        assert sender.wait_exit(40.0) == -signal.SIGKILL
        assert stage.arrivals() == []
        sender.start().wait_ready()
        assert {stage.wait_outcome(command, seconds=60.0).kind for command in commands} == {"accepted"}
    assert len(uploads(stage)) == (1 if point == "sender.media_before_upload" else 2), "at worst one upload is made again"
    assert_each_once_and_told(stage, commands)
