"""Which words, sent alone, stop a business from writing, and which let it write again?

A convention, not Meta's: Meta does not interpret them. Compared with the whole message after
`consent.keyword` has normalised it, so every word here is in that form: case-folded, composed, single spaces,
no punctuation around it.

Left out on purpose, because in a conversation they usually mean something else: cancel, end, quit, cancelar,
fin (an order, a menu) and yes, resume, continue, volver, voltar (an answer, a step back).
"""

from __future__ import annotations

STOP_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset({"stop", "stop all", "stopall", "unsubscribe", "opt out", "opt-out", "optout"}),
    "es": frozenset({"baja", "dar de baja", "darme de baja", "parar", "desuscribir", "desuscribirme"}),
    "pt": frozenset({"sair", "parar", "descadastrar", "descadastre", "remover inscrição", "remover inscricao"}),
    "de": frozenset({"stopp", "abmelden", "abbestellen", "austragen"}),
    "fr": frozenset({"arret", "arrêt", "arreter", "arrêter", "desabonner", "désabonner", "me désabonner"}),
}

START_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset({"start", "unstop", "subscribe", "opt in", "opt-in", "optin"}),
    "es": frozenset({"alta", "dar de alta", "darme de alta", "suscribir", "suscribirme"}),
    "pt": frozenset({"inscrever", "me inscrever", "cadastrar"}),
    "de": frozenset({"anmelden", "abonnieren"}),
    "fr": frozenset({"abonner", "m'abonner", "s'abonner", "reabonner", "réabonner"}),
}
