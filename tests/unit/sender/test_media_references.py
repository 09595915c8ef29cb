"""Is media found wherever a content can have it, and does the content become what Meta takes?"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.reasons import Reason
from services.common.domain.send_policy import Refused
from services.sender.content.check import problem
from services.sender.media import facts, references
from services.sender.media.facts import Facts, Failure, NotReady, Ready, Seen, Upload, Want
from services.sender.media.formats import File
from services.sender.media.references import Source
from tests.support.contents import VALID

NUMBER = "1"
FILE = Source("file", "bills/1.pdf")
LINK = Source("link", "https://cdn.example.com/p/a%20b.pdf?sig=1")
IDS = {FILE: "m-file", LINK: "m-link"}
BY_FILE: dict[str, Any] = {"file": FILE.value}
BY_LINK: dict[str, Any] = {"link": LINK.value, "upload": True}


def card(number: int, media: dict[str, Any]) -> dict[str, Any]:
    return {
        "card_index": number,
        "type": "cta_url",
        "header": {"type": "image", "image": media},
        "body": {"text": "A card"},
        "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com"}},
    }


def template(*parameters: dict[str, Any]) -> dict[str, Any]:
    header = {"type": "HEADER", "parameters": list(parameters)}
    return {
        "name": "bill",
        "language": {"code": "en"},
        "components": [header, {"type": "carousel", "cards": [{"card_index": 0, "components": [copy.deepcopy(header)]}]}],
    }


BUTTONS = {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}
PLACES: list[tuple[str, dict[str, Any], list[str]]] = [
    *((kind, dict(BY_FILE), [f"{kind}.file"]) for kind in ("image", "video", "audio", "document", "sticker")),
    *((kind, dict(BY_LINK), [f"{kind}.link"]) for kind in ("image", "video", "audio", "document", "sticker")),
    (
        "interactive",
        {"type": "button", "header": {"type": "video", "video": BY_LINK}, "body": {"text": "b"}, "action": BUTTONS},
        ["interactive.header.video.link"],
    ),
    (
        "interactive",
        {"type": "carousel", "body": {"text": "b"}, "action": {"cards": [card(0, BY_FILE), card(1, BY_LINK)]}},
        ["interactive.action.cards[0].header.image.file", "interactive.action.cards[1].header.image.link"],
    ),
    (
        "template",
        template({"type": "document", "document": BY_FILE}),
        [
            "template.components[0].parameters[0].document.file",
            "template.components[1].cards[0].components[0].parameters[0].document.file",
        ],
    ),
    (
        "template",
        template({"type": "gif", "gif": BY_LINK}),
        ["template.components[0].parameters[0].gif.link", "template.components[1].cards[0].components[0].parameters[0].gif.link"],
    ),
]


def media_in(value: Any) -> list[dict[str, Any]]:
    """Every object that has an id, file or link."""
    if isinstance(value, list):
        return [found for part in value for found in media_in(part)]
    if not isinstance(value, dict):
        return []
    own = [value] if {"id", "file", "link"} & set(value) and "title" not in value else []
    return own + [found for part in value.values() for found in media_in(part)]


@pytest.mark.parametrize(("message_type", "content", "paths"), PLACES)
def test_media_is_found_named_and_replaced_wherever_it_may_stand(message_type: str, content: Any, paths: list[str]) -> None:
    before = copy.deepcopy(content)
    assert problem(message_type, content) is None
    assert [one.path for one in references.of(message_type, content)] == paths
    sent = references.substituted(message_type, content, IDS)
    assert content == before, "the command is not touched"
    assert references.of(message_type, sent) == []
    assert problem(message_type, sent) is None
    for media in media_in(sent):
        assert media["id"] in IDS.values()
        assert not {"file", "link", "upload"} & set(media)


@pytest.mark.parametrize(("message_type", "content"), VALID)
def test_a_content_that_names_nothing_to_upload_stays_as_it_is(message_type: str, content: Any) -> None:
    assert references.of(message_type, content) == []
    assert references.substituted(message_type, content, IDS) == content


def test_a_document_without_a_name_is_called_as_its_file_is() -> None:
    assert references.substituted("document", BY_FILE, IDS) == {"id": "m-file", "filename": "1.pdf"}
    assert references.substituted("document", BY_LINK, IDS) == {"id": "m-link", "filename": "a b.pdf"}
    assert references.substituted("document", {**BY_FILE, "filename": "Bill.pdf"}, IDS) == {
        "id": "m-file",
        "filename": "Bill.pdf",
    }
    assert references.substituted("image", {**BY_FILE, "caption": "c"}, IDS) == {"id": "m-file", "caption": "c"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "image", "document", "file", "link", "upload", "id", "x"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from([*references.HOLDERS, "text", "contacts"]), JSON)
def test_whatever_a_content_is_looking_into_it_fails_never(message_type: str, content: Any) -> None:
    found = references.of(message_type, content)
    references.given_in(message_type, content)
    sent = references.substituted(message_type, content, {one.source: "m" for one in found})
    assert references.of(message_type, sent) == []


def test_a_content_of_a_thousand_levels_is_not_followed_to_its_end() -> None:
    deep: Any = {"type": "image", "image": BY_FILE}
    for _ in range(1000):
        deep = {"a": deep}
    assert references.of("template", deep) == []
    references.substituted("template", deep, IDS)


@pytest.mark.parametrize("name", ["a.pdf", "bills/2026/1.pdf", "ü.pdf", ".hidden/x.pdf", "a b.pdf", "..a/b.pdf"])
def test_a_path_that_goes_down_names_a_file(name: str) -> None:
    assert references.is_file_name(name)
    assert problem("document", {"file": name}) is None


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "..", "../a", "a/../b", "a/./b", "a//b", "a/", ".", "a\\b", "a\0b", "x" * 1025]
)
def test_a_path_that_goes_elsewhere_does_not(name: str) -> None:
    assert not references.is_file_name(name)
    assert problem("document", {"file": name}) is not None


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        ({"file": "a", "id": "1"}, Reason.MEDIA, "image: needs one of id, link and file"),
        ({"file": "a", "link": "https://example.com/"}, Reason.MEDIA, "image: needs one of id, link and file"),
        ({"file": "a", "upload": True}, Reason.MEDIA, "image: upload goes with a link"),
        ({"id": "1", "upload": True}, Reason.MEDIA, "image: upload goes with a link"),
        ({"link": "https://example.com/", "upload": "yes"}, Reason.MEDIA, "image.upload: not true or false"),
        (
            {"link": "https://8.8.8.8/a.png", "upload": True},
            Reason.MEDIA_LINK,
            "image: link to upload: not the name of a public host",
        ),
        ({"file": "/etc/passwd"}, Reason.MEDIA, "image.file: not the path of a file below the directory of media files"),
    ],
)
def test_a_reference_that_cannot_be_is_refused_by_its_form(content: Any, reason: Reason, detail: str) -> None:
    wrong = problem("image", content)
    assert wrong is not None
    assert (wrong.reason, wrong.detail) == (reason, detail)


def seen(*, age: float = 0.0, media_id: str | None = "m", mime_type: str = "image/jpeg", size: int = 1000) -> Seen:
    return Seen(file=File(mime_type=mime_type, size=size), age_seconds=age, media_id=media_id)


def judged(
    media: dict[str, Any],
    known: Seen | None = None,
    failure: Failure | None = None,
    *,
    oversize: str = "refuse",
    kind: str = "image",
) -> Ready | NotReady | Refused:
    [reference] = references.of(kind, media)
    want = Want(phone_number_id=NUMBER, media_type=kind, source=reference.source)
    return facts.judge(
        kind,
        media,
        phone_number_id=NUMBER,
        facts=Facts(seen={} if known is None else {reference.source: known}),
        failures={} if failure is None else {want.key: failure},
        oversize=oversize,
        now=1_000,
    )


def test_what_is_known_and_fresh_is_ready_and_asked_for_again_in_its_second_half() -> None:
    ready = judged(BY_LINK, seen(age=300.0))
    assert ready == Ready(message_type="image", content={"id": "m"}, media_ids=("m",))
    late = judged(BY_LINK, seen(age=301.0))
    assert isinstance(late, Ready)
    assert [one.source for one in late.stale] == [LINK]
    failing = judged(BY_LINK, seen(age=301.0), Failure(text="no answer", is_final=False, until=2_000))
    assert isinstance(failing, Ready)
    assert failing.stale == (), "not before its time"
    for not_ready in (judged(BY_LINK), judged(BY_LINK, seen(age=601.0)), judged(BY_LINK, seen(media_id=None))):
        assert isinstance(not_ready, NotReady)
        assert (not_ready.seconds, [one.source for one in not_ready.wants]) == (facts.PARK_SECONDS, [LINK])


def test_a_failure_for_now_waits_and_one_for_good_refuses_until_its_time_is_over() -> None:
    for_now = Failure(text="no answer", is_final=False, until=3_000)
    assert judged(BY_FILE, failure=for_now) == NotReady(seconds=2.0, wants=())
    for_good = Failure(text="no such file", is_final=True, until=1_001)
    assert judged(BY_FILE, failure=for_good) == Refused(reason=Reason.MEDIA, detail="image.file: no such file")
    assert judged(BY_LINK, failure=for_good) == Refused(reason=Reason.MEDIA_LINK, detail="image.link: no such file")
    over = judged(BY_FILE, failure=Failure(text="no such file", is_final=True, until=1_000))
    assert isinstance(over, NotReady)
    assert len(over.wants) == 1
    assert isinstance(judged(BY_FILE, seen(), for_good), Ready), "what is known since then counts more"


def test_what_is_too_big_is_refused_or_goes_as_a_text() -> None:
    big = seen(size=6_000_000, media_id=None)
    told = Refused(reason=Reason.MEDIA_LINK, detail="image.link: 6000000 bytes, at most 5242880")
    assert judged(BY_LINK, big) == told
    text = judged({**BY_LINK, "caption": "Look"}, big, oversize="link")
    assert text == Ready(message_type="text", content={"body": f"Look\n{LINK.value}", "preview_url": True})
    assert judged(BY_LINK, big, oversize="link") == Ready(message_type="text", content={"body": LINK.value, "preview_url": True})
    unknown_size = Failure(text="more than 5242880 bytes", is_final=True, until=2_000, is_too_big=True)
    assert isinstance(judged(BY_LINK, failure=unknown_size, oversize="link"), Ready)
    assert isinstance(judged(BY_FILE, big, oversize="link"), Refused)
    assert isinstance(judged(BY_LINK, seen(mime_type="text/plain"), oversize="link"), Refused)


def test_in_a_template_a_link_that_is_too_big_is_refused_whatever_the_command_says() -> None:
    content = template({"type": "image", "image": BY_LINK})
    decided = facts.judge(
        "template",
        content,
        phone_number_id=NUMBER,
        facts=Facts(seen={LINK: seen(size=6_000_000)}),
        failures={},
        oversize="link",
        now=0,
    )
    detail = "template.components[0].parameters[0].image.link: 6000000 bytes, at most 5242880"
    assert decided == Refused(reason=Reason.MEDIA_LINK, detail=detail)


def test_an_id_of_ours_is_judged_by_the_table_and_one_of_others_by_meta() -> None:
    known = Facts(
        uploads={
            "own": Upload(phone_number_id=NUMBER, is_over=False),
            "other": Upload(phone_number_id="2", is_over=False),
            "old": Upload(phone_number_id=NUMBER, is_over=True),
        }
    )

    def decided(media_id: str) -> Ready | NotReady | Refused:
        content = {"id": media_id}
        return facts.judge("image", content, phone_number_id=NUMBER, facts=known, failures={}, oversize="refuse", now=0)

    assert isinstance(decided("own"), Ready)
    assert isinstance(decided("foreign"), Ready)
    assert decided("other") == Refused(reason=Reason.MEDIA, detail="image.id: uploaded for another number")
    assert decided("old") == Refused(reason=Reason.MEDIA, detail="image.id: uploaded more than 30 days ago")
