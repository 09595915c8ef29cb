"""Who are the customers, and what do they say? Invented people of six countries; the same seed gives the same people."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_GIVEN: Final[Mapping[str, Sequence[str]]] = {
    "BR": ("Ana", "Bruno", "Caio", "Daniela", "Elis", "Fábio", "Gabriela", "Heitor", "Iara", "João"),
    "MX": ("Alejandra", "Beto", "Camila", "Diego", "Elena", "Fernando", "Guadalupe", "Héctor"),
    "AR": ("Agustina", "Bautista", "Catalina", "Dante", "Emilia", "Facundo", "Guillermina", "Hernán"),
    "IN": ("Aarav", "Bhavna", "Charu", "Dev", "Esha", "Farhan", "Gauri", "Harsh"),
    "DE": ("Anke", "Björn", "Clara", "Dirk", "Emma", "Falk", "Greta", "Henning"),
    "US": ("Ava", "Blake", "Chloe", "Dylan", "Ella", "Finn", "Grace", "Hudson"),
}
_FAMILY: Final[Mapping[str, Sequence[str]]] = {
    "BR": ("Silva", "Souza", "Oliveira", "Lima", "Araújo"),
    "MX": ("Hernández", "García", "Martínez", "López"),
    "AR": ("Fernández", "Rodríguez", "Gómez", "Díaz"),
    "IN": ("Sharma", "Patel", "Iyer", "Khan"),
    "DE": ("Schmidt", "Jürgens", "Weiß", "Köhler"),
    "US": ("Miller", "Johnson", "Davis", "Wilson"),
}
_SHARES: Final = {"BR": 34, "MX": 18, "IN": 18, "AR": 12, "US": 10, "DE": 8}
_LANGUAGES: Final = {"BR": "pt_BR", "MX": "es", "AR": "es", "IN": "en", "DE": "de", "US": "en"}
LANGUAGES: Final = ("pt_BR", "es", "en", "de")

QUESTIONS: Final[Mapping[str, Sequence[str]]] = {
    "pt_BR": (
        "Oi! Meu pedido já saiu?",
        "Bom dia, vocês abrem no sábado?",
        "Tem essa blusa no tamanho M?",
        "Qual o prazo pra entrega?",
    ),
    "es": (
        "Hola, ¿ya salió mi pedido?",
        "Buenas, ¿abren el sábado?",
        "¿Tienen esta blusa en talla M?",
        "¿Cuánto tarda el envío?",
    ),
    "en": (
        "Hi, has my order shipped yet?",
        "Are you open on Saturday?",
        "Do you have this in size M?",
        "How long is delivery? 🙏",
    ),
    "de": (
        "Hallo, ist meine Bestellung schon raus?",
        "Habt ihr Samstag auf?",
        "Gibt es das auch in Größe M?",
        "Wie lange dauert die Lieferung?",
    ),
}
THANKS: Final[Mapping[str, Sequence[str]]] = {
    "pt_BR": ("Obrigada! ❤️", "Perfeito, valeu", "Chegou certinho 👏"),
    "es": ("¡Gracias!", "Perfecto, muy amable", "Llegó muy bien 👏"),
    "en": ("Thanks!", "Perfect 👍", "It arrived, great"),
    "de": ("Danke!", "Perfekt 👍", "Ist angekommen, super"),
}
REPLIES: Final[Mapping[str, Sequence[str]]] = {
    "pt_BR": ("Já saiu, sim! Chega amanhã.", "Abrimos das 9h às 18h.", "Temos, sim. Separo pra você?"),
    "es": ("¡Sí, ya salió! Llega mañana.", "Abrimos de 9 a 18 h.", "Sí, ¿te la aparto?"),
    "en": ("Yes, it is on its way, arriving tomorrow.", "We are open from 9 to 6.", "We do. Shall I put one aside?"),
    "de": ("Ja, sie ist unterwegs und kommt morgen.", "Wir haben von 9 bis 18 Uhr auf.", "Ja. Sollen wir eine zurücklegen?"),
}
STOP: Final = {"pt_BR": "SAIR", "es": "Baja", "en": "STOP", "de": "Stopp!"}
START: Final = {"pt_BR": "Inscrever-se", "es": "Suscribirme", "en": "Start", "de": "abonnieren"}
RATINGS: Final[Mapping[str, Mapping[int, str]]] = {
    "pt_BR": {5: "Ótimo", 3: "Mais ou menos", 1: "Ruim"},
    "es": {5: "Muy bien", 3: "Más o menos", 1: "Mal"},
    "en": {5: "Great", 3: "So-so", 1: "Bad"},
    "de": {5: "Sehr gut", 3: "Geht so", 1: "Schlecht"},
}
"""What the quick replies of an order update say, by score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer. At least one of `wa_id` and `bsuid`; `alias`: the number as others write it."""

    name: str
    country: str
    wa_id: str | None
    bsuid: str | None
    alias: str | None = None

    @property
    def key(self) -> str:
        """Under which key the system will know this person once they wrote."""
        return self.bsuid or self.wa_id or ""

    @property
    def language(self) -> str:
        """The language of their templates and texts."""
        return _LANGUAGES[self.country]


def people(count: int, rng: random.Random) -> list[Person]:
    """`count` different people: every third has a business-scoped id beside the number, every fifteenth shows no number."""
    found: dict[str, Person] = {}
    while len(found) < count:
        person = _person(len(found), rng)
        found.setdefault(person.key, person)
    return list(found.values())


def _person(nth: int, rng: random.Random) -> Person:
    country = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
    number = _number(country, rng)
    bsuid = f"{country}.{''.join(rng.choices(string.ascii_letters + string.digits, k=22))}"
    hides_number, has_bsuid = nth % 15 == 7, nth % 3 == 1
    return Person(
        name=f"{rng.choice(_GIVEN[country])} {rng.choice(_FAMILY[country])}",
        country=country,
        wa_id=None if hides_number else number,
        bsuid=bsuid if hides_number or has_bsuid else None,
        alias=None if hides_number else _alias(country, number),
    )


def _number(country: str, rng: random.Random) -> str:
    def digits(count: int) -> str:
        return "".join(rng.choices(string.digits, k=count))

    made = {
        "BR": lambda: f"55{rng.choice(('11', '21', '31', '71'))}9{rng.choice('6789')}{digits(7)}",
        "MX": lambda: f"521{rng.choice(('55', '33', '81'))}{digits(8)}",
        "AR": lambda: f"549{rng.choice(('11', '35'))}{rng.choice('23456')}{digits(7)}",
        "IN": lambda: f"91{rng.choice('6789')}{digits(9)}",
        "DE": lambda: f"49{rng.choice(('151', '160', '176'))}{digits(8)}",
        "US": lambda: f"1{rng.choice(('212', '415', '737'))}555{digits(4)}",
    }
    return made[country]()


def _alias(country: str, number: str) -> str | None:
    """How people also write the number: Brazil without the ninth digit, Mexico without the 1, Argentina without the 9."""
    if country == "BR":
        return number[:4] + number[5:]
    if country in ("MX", "AR"):
        return number[:2] + number[3:]
    return None
