from __future__ import annotations

import time
import unicodedata
from functools import reduce
from itertools import chain, combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.consent import (
    ConsentCategory,
    ConsentDecision,
    ConsentReason,
    ConsentState,
    Decision,
    Said,
    decide,
    merge,
    said,
)
from services.common.domain.consent_keywords import (
    PROMOTION_START_PHRASES,
    PROMOTION_STOP_PHRASES,
    START_WORDS,
    STOP_WORDS,
)

INSTANTS = (None, 0, 1, 2)
STATES = [ConsentState(granted_at=granted, withdrawn_at=withdrawn) for granted, withdrawn in product(INSTANTS, repeat=2)]
NOTHING = ConsentState()

STOPS = Said(Decision.WITHDRAWN, ConsentCategory.ALL)
STARTS = Said(Decision.GRANTED, ConsentCategory.ALL)
STOPS_PROMOTIONS = Said(Decision.WITHDRAWN, ConsentCategory.MARKETING)
STARTS_PROMOTIONS = Said(Decision.GRANTED, ConsentCategory.MARKETING)
MEANT = {
    STOPS: STOP_WORDS,
    STARTS: START_WORDS,
    STOPS_PROMOTIONS: PROMOTION_STOP_PHRASES,
    STARTS_PROMOTIONS: PROMOTION_START_PHRASES,
}
WORDS = {meaning: frozenset(chain(*languages.values())) for meaning, languages in MEANT.items()}
ALL_WORDS = sorted(chain(*WORDS.values()))


def test_any_order_and_repetition_of_evidence_ends_in_the_same_state() -> None:
    for seen in product(STATES, repeat=3):
        assert len({reduce(merge, order) for order in permutations(seen)}) == 1
        known = reduce(merge, seen)
        assert all(merge(known, again) == known for again in (*seen, NOTHING))


def expected(evidence: list[tuple[int, bool]], category: ConsentCategory) -> bool:
    """The rule as one would say it: the latest evidence decides, and in a tie the withdrawal is the later."""
    if not evidence:
        return category in (ConsentCategory.UTILITY, ConsentCategory.AUTHENTICATION)
    _, withdrawn = max(evidence)
    return not withdrawn


@pytest.mark.parametrize("category", ConsentCategory)
def test_the_latest_evidence_about_all_or_the_category_decides(category: ConsentCategory) -> None:
    for state_all, state_category in product(STATES, repeat=2):
        evidence = [
            (at, withdrawn)
            for state in (state_all, state_category)
            for at, withdrawn in ((state.granted_at, False), (state.withdrawn_at, True))
            if at is not None
        ]
        decision = decide(state_all, state_category, category)
        assert decision.allowed is expected(evidence, category)
        assert decision.allowed is (decision.reason in (ConsentReason.GRANTED, ConsentReason.NOT_WITHDRAWN))


@pytest.mark.parametrize("category", ConsentCategory)
def test_more_evidence_of_withdrawal_never_allows_what_was_refused(category: ConsentCategory) -> None:
    for state_all, state_category, at in product(STATES, STATES, (0, 1, 2)):
        before = decide(state_all, state_category, category)
        after = decide(merge(state_all, ConsentState(withdrawn_at=at)), state_category, category)
        assert before.allowed or not after.allowed


@pytest.mark.parametrize(
    ("state_all", "state_category", "category", "allowed", "reason"),
    [
        pytest.param(NOTHING, NOTHING, "marketing", False, "never_granted", id="marketing without opt-in"),
        pytest.param(NOTHING, NOTHING, "utility", True, "not_withdrawn", id="utility without evidence"),
        pytest.param(NOTHING, NOTHING, "authentication", True, "not_withdrawn", id="authentication without evidence"),
        pytest.param(
            ConsentState(withdrawn_at=5),
            NOTHING,
            "authentication",
            False,
            "withdrawn",
            id="stop stops codes too",
        ),
        pytest.param(
            ConsentState(withdrawn_at=5),
            ConsentState(granted_at=4),
            "marketing",
            False,
            "withdrawn",
            id="stop after opt-in",
        ),
        pytest.param(
            ConsentState(withdrawn_at=5),
            ConsentState(granted_at=6),
            "marketing",
            True,
            "granted",
            id="opt-in after stop",
        ),
        pytest.param(
            ConsentState(granted_at=5),
            ConsentState(withdrawn_at=5),
            "utility",
            False,
            "withdrawn",
            id="a tie",
        ),
    ],
)
def test_a_decision_says_why(
    state_all: ConsentState, state_category: ConsentState, category: str, allowed: bool, reason: str
) -> None:
    assert decide(state_all, state_category, ConsentCategory(category)) == ConsentDecision(
        allowed=allowed, reason=ConsentReason(reason)
    )


LISTS = [
    pytest.param(meaning, language, id=f"{language} {meaning.decision} {meaning.category}")
    for meaning, languages in MEANT.items()
    for language in languages
]


def full_width(word: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word).replace(" ", "\u3000")


def spellings(word: str) -> list[str]:
    """The same text as phones, keyboards and tempers write it."""
    return [
        word,
        word.upper(),
        word.title(),
        word.capitalize(),
        f"  {word}\r\n",
        f"\ufeff{word}",
        f"{word}!!!",
        f"{word}...",
        f"\u00a1{word}!",
        f"«{word}»",
        f'"{word}"',
        f"*{word}*",
        f"~{word}~",
        f"#{word}",
        f"/{word}",
        f"\u200b\u201c{word}.\u201d",
        f"{word}\u3002",
        f"{word}\u061f",
        f"{word} \u0964",
        f"🛑 {word}",
        f"{word} \u2764\ufe0f",
        f"{word}👎\U0001f3fd",
        f"👩\u200d💻 {word} 🇧🇷",
        f"\u200e{word}\u200f",
        f"\u202b{word}\u202c",
        f"\u2067{word}\u2069",
        f"\u061c{word}\u200c",
        word.replace(" ", "  \t\u00a0"),
        word.replace(" ", " \u200f"),
        word.replace(" ", "\n"),
        word.replace(" ", "_"),
        word.replace("'", "\u2019"),
        word.replace("'", "\u02bc"),
        word.replace("-", "\u2011"),
        word[0] + "\u00ad\u200b\u2060" + word[1:],
        unicodedata.normalize("NFD", word),
        unicodedata.normalize("NFD", word.upper()),
        full_width(word),
        full_width(word.upper()),
    ]


@pytest.mark.parametrize(("meaning", "language"), LISTS)
def test_a_keyword_alone_is_understood_however_it_is_typed(meaning: Said, language: str) -> None:
    missed = {text for word in MEANT[meaning][language] for text in spellings(word) if said(text) != meaning}
    assert not missed


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("DURDUR", STOPS),
        ("L\u0130STEDEN \u00c7IKAR", STOPS),
        ("ABONEL\u0130KTEN \u00c7IK", STOPS),
        ("ΔΙΑΚΟΠΗ ΠΡΟΣΦΟΡΩΝ", STOPS_PROMOTIONS),
        ("ΚΑΤΑΡΓΗΣΗ ΕΓΓΡΑΦΗΣ", STOPS),
        ("κατάργηση εγγραφής", STOPS),
        ("إيقـــاف", STOPS),
        ("إِيقَاف", STOPS),
        ("ﺇﻳﻘﺎﻑ", STOPS),
        ("הָסֵר", STOPS),
        ("ｽﾄｯﾌﾟ", STOPS),
        ("قطع پیام\u200cها", STOPS),
        ("ยกเลิก\u200bรับ\u200bข่าวสาร", STOPS),
        ("𝗦𝗧𝗢𝗣", STOPS),
        ("Don’t message me", STOPS),
        ("M’abonner", STARTS),
        ("Opt‑Out", STOPS),
        ("OPT_IN", STARTS),
        ("STOP_PROMOTIONS", STOPS_PROMOTIONS),
        ("stopPromotions", STOPS_PROMOTIONS),
        ("MARKETING_OPT_OUT", STOPS_PROMOTIONS),
        ("unsubscribe_marketing", STOPS_PROMOTIONS),
        ("Parar promoções", STOPS_PROMOTIONS),
        ("Detener promociones", STOPS_PROMOTIONS),
        ("Interrompi promozioni", STOPS_PROMOTIONS),
        ("प्रमोशन बंद करें", STOPS_PROMOTIONS),
        ("Resume promotions", STARTS_PROMOTIONS),
    ],
)
def test_scripts_keyboards_and_buttons_write_it_their_way(text: str, meaning: Said) -> None:
    assert said(text) == meaning


def test_promotions_stop_marketing_and_nothing_else() -> None:
    stopped = ConsentState(withdrawn_at=1)
    assert said("Stop promotions") == (Decision.WITHDRAWN, ConsentCategory.MARKETING)
    assert not decide(NOTHING, stopped, ConsentCategory.MARKETING).allowed
    assert decide(NOTHING, NOTHING, ConsentCategory.UTILITY).allowed


SENTENCES = [
    *("stop 1", "stop it", "please stop", "stop please", "don't stop", "do not stop", "never stop", "bus stop", "non-stop"),
    *("nonstop", "starting", "st op", "s.t.o.p", "s t o p", "stop,start", "stop or start?", "When does the sale start?"),
    *('he said "stop" twice', "«STOP» is what I read", "is STOP a keyword?", "stop-loss", "stops", "unstoppable"),
    *("stop promotions today only?", "I stop promotions", "don't stop promotions", "unsubscribed", "how do I unsubscribe"),
    *(
        "Baja California",
        "planta baja",
        "no quiero darme de baja",
        "no me den de baja",
        "sin parar",
        "para",
        "¿cómo me doy de baja?",
    ),
    *("sair de casa", "não quero sair", "vou sair agora", "sair, não", "posso parar promoções amanhã?"),
    *("ich will mich nicht abmelden", "nicht abmelden", "Stoppschild", "bitte nicht stopp", "Werbung stoppen? Nein"),
    *("ne pas arrêter", "arrêt de bus", "sans arrêt", "je ne veux pas me désabonner", "arrêt maladie"),
    *("niet afmelden", "ik wil me niet uitschrijven", "non disiscrivetemi", "nie wypisz mnie", "ne odhlásit"),
    *("не отписаться", "стоп машина", "не стоп", "автобусная стоп", "відписатися завтра", "не спри"),
    *("لا توقف", "توقف الطلب", "متى توقف", "אל תסירו", "הסרת שיער", "بند نہ کریں", "बंद मत करो", "दुकान बंद है"),
    *("不要停止", "停止营业", "退订酒店", "配信停止しないで", "配信停止は不要です", "수신거부 아님", "หยุดวันไหน", "durdurma"),
    *("jangan berhenti", "unregister", "usisitishe ujumbe", "đừng hủy đăng ký", "leiratkozás nélkül", "inte stopp"),
]
EMPTY = ["", " ", "\n\t", "...", "!!!", "\ufeff", "\u200e\u200f", "\u200d", "_", "👍", "❤️", "🛑", "🛑🛑🛑", "👩‍💻", "🇧🇷", "\x00"]
# Yes, no, cancel, end, back, go on, wait, register and the like: answers to anything but this question.
EVERYDAY = {
    "af": "ja nee dankie kanselleer einde terug gaan voort wag hulp begin",
    "ar": "نعم لا شكرا إلغاء الغاء إنهاء رجوع متابعة انتظر مساعدة ابدأ تسجيل اشتراك خروج",
    "bg": "да не благодаря отказ край назад продължи чакай помощ начало регистрация",
    "bn": "হ্যাঁ না ধন্যবাদ বাতিল শেষ ফিরে অপেক্ষা শুরু বন্ধ নিবন্ধন",
    "ca": "sí si no gràcies cancel·lar fi enrere continuar pare baixa alta ajuda començar registre",
    "cs": "ano ne děkuji zrušit konec zpět pokračovat počkat pomoc registrace přihlásit",
    "da": "ja nej tak annuller slut tilbage fortsæt vent hjælp begynd tilmeld",
    "de": "ja nein danke abbrechen stornieren ende zurück weiter warte halt hilfe anmelden registrieren abbestellen kündigen",
    "el": "ναι όχι ευχαριστώ ακύρωση τέλος πίσω συνέχεια περίμενε βοήθεια αρχή εγγραφή διακοπή διαγραφή",
    "en": "yes no ok thanks hello cancel end quit exit back continue resume wait hold later help menu begin register join",
    "es": "sí si no vale gracias hola cancelar fin salir volver continuar seguir espera alto alta ayuda iniciar registro pare",
    "fa": "بله نه خیر ممنون لغو پایان بازگشت ادامه صبر کمک شروع عضویت ثبت",
    "fi": "kyllä ei kiitos peruuta loppu takaisin jatka odota apua aloita tilaa rekisteröidy",
    "fr": "oui non merci annuler fin quitter retour continuer attends aide commencer inscription réabonnement dur bas",
    "he": "כן לא תודה ביטול סיום חזרה המשך חכה עזרה התחל הרשמה",
    "hi": "हाँ नहीं धन्यवाद रद्द समाप्त वापस जारी रुको मदद शुरू बंद",
    "hr": "da ne hvala otkaži kraj natrag nastavi čekaj pomoć početak prijava",
    "hu": "igen nem köszönöm mégse törlés vége vissza folytatás várj segítség kezdés regisztráció baj",
    "id": "ya tidak terima kasih batal selesai kembali lanjut tunggu bantuan mulai daftar langganan reg",
    "it": "sì si no grazie annulla fine esci indietro continua aspetta basta aiuto inizia alta iscrizione",
    "ja": "はい いいえ ありがとう キャンセル 終了 戻る 続ける 待って 助けて 開始 登録 解除",
    "ko": "네 아니요 감사합니다 취소 종료 뒤로 계속 잠깐 도움말 시작 등록 그만",
    "ms": "ya tidak terima kasih batal tamat kembali teruskan tunggu bantuan mula daftar henti",
    "nb": "ja nei takk avbryt slutt tilbake fortsett vent hjelp begynn registrer",
    "nl": "ja nee bedankt annuleren einde terug doorgaan wacht hulp begin aanmelden registreren bestellen",
    "pl": "tak nie dziękuję anuluj koniec wróć wstecz dalej czekaj pomoc zacznij zapisz rejestracja rezygnuję no",
    "pt": "sim não nao obrigado cancelar fim voltar continuar espera ajuda começar iniciar cadastrar alta baixa pare",
    "ro": "da nu mulțumesc anulează sfârșit înapoi continuă așteaptă ajutor începe înregistrare",
    "ru": "да нет спасибо отмена отменить конец назад продолжить подождите помощь начать старт регистрация хватит",
    "sk": "áno nie ďakujem zrušiť koniec späť pokračovať počkať pomoc začať registrácia prihlásiť",
    "sl": "da ne hvala prekliči konec nazaj nadaljuj počakaj pomoč začni prijava naroči",
    "sr": "da да ne не hvala хвала otkaži kraj nazad nastavi čekaj pomoć početak prijava пријава",
    "sv": "ja nej tack avbryt slut tillbaka fortsätt vänta hjälp börja starta registrera avbeställ",
    "sw": "ndiyo hapana asante ghairi mwisho rudi endelea subiri msaada anza jisajili jiunge acha",
    "th": "ใช่ ไม่ ขอบคุณ ยกเลิก จบ กลับ ต่อไป รอ ช่วย เริ่ม สมัคร หยุด",
    "tr": "evet hayır teşekkürler iptal son geri devam bekle yardım başla kayıt dur ret red",
    "uk": "так ні дякую скасувати кінець назад продовжити зачекайте допомога почати реєстрація годі",
    "ur": "جی نہیں شکریہ منسوخ ختم واپس جاری انتظار مدد شروع بند",
    "vi": "có không cảm ơn hủy huỷ kết thúc quay lại tiếp tục chờ đúng dung dùng trợ giúp bắt đầu đăng ký",
    "zh": "是 不是 谢谢 謝謝 取消 结束 結束 返回 继续 繼續 等等 帮助 幫助 开始 開始 注册 註冊",
}


@pytest.mark.parametrize("text", [*SENTENCES, *EMPTY])
def test_conversation_is_not_a_keyword(text: str) -> None:
    assert said(text) is None


@pytest.mark.parametrize("language", EVERYDAY)
def test_an_everyday_answer_is_not_a_keyword_of_any_language(language: str) -> None:
    answers = [EVERYDAY[language], *EVERYDAY[language].split()]
    assert not {word for word in answers if said(word) or said(word.upper()) or said(f"{word}!")}


@pytest.mark.parametrize("word", ["stop", "baja", "стоп", "수신거부", "parar promoções"])
def test_with_another_word_it_is_not_that_keyword(word: str) -> None:
    others = ("1", "it", "no", "não", "не", "لا", "不", "x", word)
    assert not {text for other in others for text in (f"{other} {word}", f"{word} {other}", f"{word}, {other}") if said(text)}


LETTERS = st.characters(categories=("Lu", "Ll", "Lo")).filter(lambda letter: unicodedata.normalize("NFKC", letter).isalpha())


@given(st.sampled_from(ALL_WORDS), st.text(LETTERS, max_size=3), st.text(LETTERS, max_size=3))
def test_letters_before_or_after_make_it_another_word(word: str, before: str, after: str) -> None:
    text = before + word + after
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("\u0307", "")
    assert said(text) == next((meaning for meaning, words in WORDS.items() if folded in words), None)


@given(st.sampled_from(["", "bus", *ALL_WORDS]), st.data())
def test_plain_text_is_read_like_any_other(word: str, data: st.DataObject) -> None:
    """An invisible character at the end takes the text off the short way for ASCII, and means nothing."""
    plain = st.text(st.characters(max_codepoint=127), max_size=3)
    text = data.draw(plain) + word.replace(" ", data.draw(plain)) + data.draw(plain)
    assert said(text) == said(f"{text}\u200b")


@given(st.text())
def test_any_text_has_one_meaning_or_none(text: str) -> None:
    assert said(text) in (None, *MEANT)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("stop " * 200_000, id="the keyword all over"),
        pytest.param(" " * 1_000_000 + "stop", id="a keyword at the end"),
        pytest.param("é" * 1_000_000, id="not ASCII"),
        pytest.param("\u200b" * 1_000_000, id="not seen"),
    ],
)
def test_a_text_of_a_megabyte_is_no_keyword_and_costs_nothing(text: str) -> None:
    begun = time.process_time()
    assert not any(said(text) for _ in range(1_000))
    assert time.process_time() - begun < 1


def test_an_angry_stop_is_still_one() -> None:
    assert said("STOP" + "!" * 60 + "😡" * 20) == STOPS


def test_no_text_means_two_things() -> None:
    assert not {word for one, other in combinations(WORDS.values(), 2) for word in one & other}


def test_every_language_can_stop_and_start_and_most_can_stop_promotions() -> None:
    assert STOP_WORDS.keys() == START_WORDS.keys()
    assert len(STOP_WORDS) >= 30
    assert len(PROMOTION_STOP_PHRASES) >= 25
    assert PROMOTION_START_PHRASES.keys() <= PROMOTION_STOP_PHRASES.keys() <= STOP_WORDS.keys() | {"payload"}
    assert all(words for languages in MEANT.values() for words in languages.values())
    assert STOP_WORDS.keys() == EVERYDAY.keys()


@pytest.mark.parametrize(("meaning", "language"), LISTS)
def test_the_lists_are_in_the_form_that_texts_are_brought_to(meaning: Said, language: str) -> None:
    assert language == "payload" or (len(language) == 2 and language.isascii() and language.islower())
    for word in MEANT[meaning][language]:
        assert word == unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
        assert word == " ".join(word.split())
        assert len(word) > 1
        assert {unicodedata.category(end)[0] for end in (word[0], word[-1])} <= {"L", "M", "N"}
        assert not {letter for letter in word if unicodedata.category(letter) in ("Cf", "Pc")} - {"\u200c", "\u200d"}


UNACCENTED = str.maketrans("ıłđø", "ildo")


@pytest.mark.parametrize(("meaning", "language"), LISTS)
def test_without_its_accents_a_word_means_the_same(meaning: Said, language: str) -> None:
    """For Latin and Greek letters. Vietnamese without them is often another word, and then means nothing."""
    for word in MEANT[meaning][language]:
        if unicodedata.name(word[0]).startswith(("LATIN", "GREEK")):
            letters = unicodedata.normalize("NFD", word.translate(UNACCENTED))
            plain = said("".join(letter for letter in letters if unicodedata.category(letter) != "Mn"))
            assert plain == meaning or (language == "vi" and plain is None)
