"""Which texts, sent alone, stop a business from writing, and which let it write again?

Conventions, not Meta's: Meta interprets none of them. `consent.said` compares them with the whole message in the
form it normalises to, so every text here is in that form: case-folded, composed, single spaces, no punctuation
around it. Greek ends in σ there, and Turkish needs ı and i. The keys are ISO 639-1, and `payload` for what
programs write into buttons.

Left out is what in a conversation mostly means something else, also where text messages use it: cancel, end,
quit, enough (an order, a menu), yes, continue, resume, back (an answer, a step), register, log in, begin (an account,
a course, a bot), and words of other languages: alta, baixa, pare, dur, red. More is left out of START, for a
grant heard by mistake sends advertising to somebody who never asked. `baja` and `sair` stay although they mean
other things too: they are what people are told to send.
"""

from __future__ import annotations

from typing import Final

STOP_WORDS: Final[dict[str, frozenset[str]]] = {
    "af": frozenset({"skryf my uit", "stop boodskappe", "geen boodskappe meer nie", "verwyder my"}),
    "ar": frozenset(
        {
            "إلغاء الاشتراك",
            "الغاء الاشتراك",
            "إلغاء اشتراك",
            "الغاء اشتراك",
            "إيقاف",
            "ايقاف",
            "أوقف",
            "اوقف",
            "توقف",
            "إيقاف الرسائل",
            "ايقاف الرسائل",
            "وقف الرسائل",
            "أوقف الرسائل",
            "اوقف الرسائل",
            "أوقفوا الرسائل",
            "اوقفوا الرسائل",
            "لا تراسلني",
            "لا تراسلوني",
        }
    ),
    "bg": frozenset(
        {"стоп", "спри", "спрете", "отпиши ме", "отпишете ме", "отписване", "спрете съобщенията", "спри съобщенията"}
    ),
    "bn": frozenset(
        {
            "বন্ধ করুন",
            "বন্ধ করো",
            "স্টপ",
            "আনসাবস্ক্রাইব",
            "আনসাবস্ক্রাইব করুন",
            "মেসেজ বন্ধ করুন",
            "মেসেজ বন্ধ করো",
            "মেসেজ পাঠাবেন না",
        }
    ),
    "ca": frozenset(
        {
            "donar de baixa",
            "donar-me de baixa",
            "dona'm de baixa",
            "doneu-me de baixa",
            "desubscriure",
            "desubscriure'm",
            "aturar",
            "aturar missatges",
            "atura els missatges",
            "no vull rebre missatges",
            "no vull més missatges",
            "no vull mes missatges",
        }
    ),
    "cs": frozenset(
        {
            "odhlásit",
            "odhlasit",
            "odhlásit se",
            "odhlasit se",
            "odhlaste mě",
            "odhlaste me",
            "odhlásit odběr",
            "odhlasit odber",
            "zrušit odběr",
            "zrusit odber",
            "neposílejte zprávy",
            "neposilejte zpravy",
        }
    ),
    "da": frozenset({"afmeld", "afmeld mig", "frameld", "frameld mig", "stop beskeder", "ikke flere beskeder"}),
    "de": frozenset(
        {
            "stopp",
            "abmelden",
            "mich abmelden",
            "bitte abmelden",
            "austragen",
            "bitte austragen",
            "newsletter abbestellen",
            "nachrichten abbestellen",
            "keine nachrichten mehr",
            "bitte keine nachrichten mehr",
            "keine weiteren nachrichten",
        }
    ),
    "el": frozenset(
        {
            "στοπ",
            "σταμάτα",
            "σταματα",
            "σταματήστε",
            "σταματηστε",
            "σταματήστε τα μηνύματα",
            "σταματηστε τα μηνυματα",
            "απεγγραφή",
            "απεγγραφη",
            "κατάργηση εγγραφήσ",
            "καταργηση εγγραφησ",
            "διαγράψτε με",
            "διαγραψτε με",
        }
    ),
    "en": frozenset(
        {
            "stop",
            "stop all",
            "stopall",
            "unsubscribe",
            "unsubscribe me",
            "unsubscribe all",
            "unsub",
            "opt out",
            "opt-out",
            "optout",
            "opt me out",
            "stop messages",
            "stop messaging me",
            "stop texting me",
            "stop sending messages",
            "stop sending me messages",
            "no more messages",
            "do not message me",
            "don't message me",
            "dont message me",
            "do not contact me",
            "don't contact me",
            "dont contact me",
            "remove me",
            "remove me from the list",
            "remove me from your list",
            "take me off your list",
        }
    ),
    "es": frozenset(
        {
            "baja",
            "dar de baja",
            "darme de baja",
            "dame de baja",
            "deme de baja",
            "denme de baja",
            "darse de baja",
            "quiero darme de baja",
            "parar",
            "detener",
            "parar mensajes",
            "detener mensajes",
            "desuscribir",
            "desuscribirme",
            "desuscribirse",
            "desuscríbeme",
            "desuscribeme",
            "no más mensajes",
            "no mas mensajes",
            "no quiero más mensajes",
            "no quiero mas mensajes",
            "no quiero recibir mensajes",
            "no quiero recibir más mensajes",
            "no quiero recibir mas mensajes",
            "no me envíen mensajes",
            "no me envien mensajes",
            "no me envíen más mensajes",
            "no me envien mas mensajes",
        }
    ),
    "fa": frozenset(
        {
            "لغو اشتراک",
            "لغو اشتراك",
            "لغو عضویت",
            "لغو عضويت",
            "لغو11",
            "لغو 11",
            "لغو۱۱",
            "لغو ۱۱",
            "لغو پیام\u200cها",
            "لغو پیام ها",
            "لغو پیامها",
            "قطع پیام\u200cها",
            "قطع پیام ها",
            "قطع پیامها",
            "پیام نفرستید",
            "پیام ندهید",
        }
    ),
    "fi": frozenset(
        {
            "lopeta viestit",
            "lopettakaa viestit",
            "ei enää viestejä",
            "ei enaa viesteja",
            "en halua viestejä",
            "en halua viesteja",
            "poista listalta",
            "poistakaa listalta",
            "peru uutiskirje",
        }
    ),
    "fr": frozenset(
        {
            "arrêt",
            "arret",
            "arrêter",
            "arreter",
            "arrêtez",
            "arretez",
            "arrêter les messages",
            "arreter les messages",
            "désabonner",
            "desabonner",
            "me désabonner",
            "me desabonner",
            "se désabonner",
            "se desabonner",
            "désabonnez-moi",
            "desabonnez-moi",
            "désabonnement",
            "desabonnement",
            "désinscrire",
            "desinscrire",
            "me désinscrire",
            "me desinscrire",
            "se désinscrire",
            "se desinscrire",
            "désinscrivez-moi",
            "desinscrivez-moi",
            "désinscription",
            "desinscription",
            "ne plus recevoir de messages",
        }
    ),
    "he": frozenset(
        {
            "הסר",
            "הסרה",
            "הסירו",
            "להסרה",
            "להסיר",
            "תסירו",
            "הסר אותי",
            "הסירו אותי",
            "תסירו אותי",
            "להסיר אותי",
            "הסר אותי מהרשימה",
            "הסירו אותי מהרשימה",
            "תסירו אותי מהרשימה",
            "תורידו אותי מהרשימה",
            "הפסק",
            "הפסיקו",
            "הפסיקו לשלוח הודעות",
            "תפסיקו לשלוח הודעות",
        }
    ),
    "hi": frozenset(
        {
            "स्टॉप",
            "बंद करो",
            "बंद करें",
            "बन्द करो",
            "बन्द करें",
            "अनसब्सक्राइब",
            "अनसब्सक्राइब करें",
            "मैसेज बंद करो",
            "मैसेज बंद करें",
            "संदेश बंद करो",
            "संदेश बंद करें",
            "मैसेज मत भेजो",
            "संदेश मत भेजो",
            "band karo",
            "band karen",
            "band karein",
            "message band karo",
            "messages band karo",
            "message mat bhejo",
        }
    ),
    "hr": frozenset(
        {
            "odjava",
            "odjavi",
            "odjavi me",
            "odjavite me",
            "ne šaljite poruke",
            "ne saljite poruke",
            "ne želim poruke",
            "ne zelim poruke",
        }
    ),
    "hu": frozenset(
        {
            "leiratkozás",
            "leiratkozas",
            "leiratkozom",
            "leiratkozni",
            "le akarok iratkozni",
            "ne küldjenek üzenetet",
            "ne kuldjenek uzenetet",
            "nem kérek üzenetet",
            "nem kerek uzenetet",
        }
    ),
    "id": frozenset(
        {
            "berhenti",
            "berhenti langganan",
            "berhenti berlangganan",
            "unreg",
            "stop pesan",
            "stop kirim pesan",
            "hentikan pesan",
            "jangan kirim pesan",
            "jangan kirim pesan lagi",
        }
    ),
    "it": frozenset(
        {
            "disiscrivimi",
            "disiscrivetemi",
            "disiscriviti",
            "disiscrizione",
            "rimuovimi",
            "rimuovetemi",
            "rimuovimi dalla lista",
            "cancellami dalla lista",
            "stop messaggi",
            "basta messaggi",
            "non voglio messaggi",
            "non voglio più messaggi",
            "non voglio piu messaggi",
            "non inviatemi messaggi",
            "non mandatemi messaggi",
        }
    ),
    "ja": frozenset(
        {
            "ストップ",
            "配信停止",
            "配信停止希望",
            "配信を停止",
            "配信解除",
            "配信拒否",
            "受信拒否",
            "購読解除",
            "購読停止",
            "登録解除",
            "メルマガ解除",
            "メルマガ停止",
            "メッセージ停止",
            "メッセージ配信停止",
        }
    ),
    "ko": frozenset(
        {
            "스톱",
            "스탑",
            "수신거부",
            "수신 거부",
            "수신거부합니다",
            "무료수신거부",
            "무료거부",
            "수신차단",
            "수신 차단",
            "구독취소",
            "구독 취소",
            "문자 거부",
            "문자 수신거부",
            "메시지 중지",
            "메시지 수신거부",
        }
    ),
    "ms": frozenset(
        {
            "berhenti",
            "berhenti melanggan",
            "henti langganan",
            "nyahlanggan",
            "henti mesej",
            "hentikan mesej",
            "jangan hantar mesej",
            "jangan hantar mesej lagi",
        }
    ),
    "nb": frozenset({"stopp", "avmeld", "avmelding", "meld av", "meld meg av", "stopp meldinger", "ingen flere meldinger"}),
    "nl": frozenset(
        {
            "afmelden",
            "meld me af",
            "meld mij af",
            "uitschrijven",
            "schrijf me uit",
            "schrijf mij uit",
            "stop berichten",
            "stop met berichten",
            "geen berichten meer",
        }
    ),
    "pl": frozenset(
        {
            "wypisz mnie",
            "wypisz się",
            "wypisz sie",
            "wypisuję się",
            "wypisuje sie",
            "wyrejestruj",
            "wyrejestruj mnie",
            "odsubskrybuj",
            "usuń mnie z listy",
            "usun mnie z listy",
            "nie wysyłajcie wiadomości",
            "nie wysylajcie wiadomosci",
        }
    ),
    "pt": frozenset(
        {
            "sair",
            "sair da lista",
            "quero sair da lista",
            "parar",
            "parar mensagens",
            "pare de enviar mensagens",
            "parem de enviar mensagens",
            "descadastrar",
            "descadastrar-se",
            "descadastre",
            "descadastro",
            "me descadastrar",
            "me descadastre",
            "desinscrever",
            "me desinscrever",
            "cancelar inscrição",
            "cancelar inscricao",
            "remover inscrição",
            "remover inscricao",
            "remover da lista",
            "me remova da lista",
            "não quero receber mensagens",
            "nao quero receber mensagens",
            "não quero mais receber mensagens",
            "nao quero mais receber mensagens",
            "não receber mensagens",
            "nao receber mensagens",
        }
    ),
    "ro": frozenset(
        {
            "dezabonare",
            "mă dezabonez",
            "ma dezabonez",
            "dezabonează-mă",
            "dezaboneaza-ma",
            "dezabonați-mă",
            "dezabonaţi-mă",
            "dezabonati-ma",
            "opriți mesajele",
            "opriţi mesajele",
            "opriti mesajele",
            "nu mai trimiteți mesaje",
            "nu mai trimiteţi mesaje",
            "nu mai trimiteti mesaje",
        }
    ),
    "ru": frozenset(
        {
            "стоп",
            "отписаться",
            "отписаться от рассылки",
            "отпишите меня",
            "отпиши меня",
            "отказаться от рассылки",
            "отказ от рассылки",
            "остановить рассылку",
            "отключить рассылку",
            "не пишите мне",
            "не присылайте сообщения",
        }
    ),
    "sk": frozenset(
        {
            "odhlásiť",
            "odhlasit",
            "odhlásiť sa",
            "odhlasit sa",
            "odhláste ma",
            "odhlaste ma",
            "odhlásiť odber",
            "odhlasit odber",
            "zrušiť odber",
            "zrusit odber",
            "neposielajte správy",
            "neposielajte spravy",
        }
    ),
    "sl": frozenset(
        {
            "odjava",
            "odjavi",
            "odjavi me",
            "odjavite me",
            "odjavi se",
            "ne pošiljajte sporočil",
            "ne posiljajte sporocil",
            "ne želim sporočil",
            "ne zelim sporocil",
        }
    ),
    "sr": frozenset(
        {
            "стоп",
            "odjava",
            "одјава",
            "odjavi",
            "одјави",
            "odjavi me",
            "одјави ме",
            "odjavite me",
            "одјавите ме",
            "ne šaljite poruke",
            "ne saljite poruke",
            "не шаљите поруке",
            "ne želim poruke",
            "ne zelim poruke",
            "не желим поруке",
        }
    ),
    "sv": frozenset(
        {
            "stopp",
            "avregistrera",
            "avregistrera mig",
            "avprenumerera",
            "avanmäl",
            "avanmal",
            "avanmäl mig",
            "avanmal mig",
            "stoppa meddelanden",
            "sluta skicka meddelanden",
            "inga fler meddelanden",
        }
    ),
    "sw": frozenset(
        {
            "jiondoe",
            "nijiondoe",
            "niondoe",
            "niondoe kwenye orodha",
            "acha kutuma ujumbe",
            "acheni kutuma ujumbe",
            "sitisha ujumbe",
            "usinitumie ujumbe",
            "msinitumie ujumbe",
        }
    ),
    "th": frozenset(
        {
            "ยกเลิกรับข่าวสาร",
            "ยกเลิกการรับข่าวสาร",
            "ยกเลิกรับข้อความ",
            "ยกเลิกการรับข้อความ",
            "หยุดส่งข้อความ",
            "หยุดรับข้อความ",
            "ไม่ต้องการรับข้อความ",
            "ไม่ต้องการรับข่าวสาร",
        }
    ),
    "tr": frozenset(
        {
            "durdur",
            "abonelikten çık",
            "abonelikten çik",
            "abonelikten cik",
            "abonelikten çıkmak istiyorum",
            "abonelikten çikmak istiyorum",
            "abonelikten cikmak istiyorum",
            "listeden çıkar",
            "listeden çikar",
            "listeden cikar",
            "mesajları durdur",
            "mesajlari durdur",
            "mesaj istemiyorum",
            "mesaj atmayın",
            "mesaj atmayin",
            "mesaj göndermeyin",
            "mesaj gondermeyin",
        }
    ),
    "uk": frozenset(
        {
            "стоп",
            "відписатися",
            "відписатись",
            "відписатися від розсилки",
            "відписатись від розсилки",
            "відпишіть мене",
            "відмовитися від розсилки",
            "відмовитись від розсилки",
            "зупинити розсилку",
            "вимкнути розсилку",
            "не пишіть мені",
            "не надсилайте повідомлення",
        }
    ),
    "ur": frozenset(
        {
            "اسٹاپ",
            "سٹاپ",
            "بند کرو",
            "بند کریں",
            "بند کر دیں",
            "ان سبسکرائب",
            "ان سبسکرائب کریں",
            "میسج بند کرو",
            "میسج بند کریں",
            "پیغامات بند کریں",
            "میسج نہ بھیجیں",
            "پیغام نہ بھیجیں",
        }
    ),
    "vi": frozenset(
        {
            "hủy đăng ký",
            "huỷ đăng ký",
            "hủy đăng kí",
            "huỷ đăng kí",
            "huy dang ky",
            "huy dang ki",
            "hủy nhận tin",
            "huỷ nhận tin",
            "huy nhan tin",
            "ngừng nhận tin",
            "ngung nhan tin",
            "ngừng nhận tin nhắn",
            "ngung nhan tin nhan",
            "ngừng gửi tin nhắn",
            "ngung gui tin nhan",
            "dừng nhận tin",
            "dừng nhận tin nhắn",
            "từ chối nhận tin",
            "tu choi nhan tin",
        }
    ),
    "zh": frozenset(
        {
            "退订",
            "退訂",
            "取消订阅",
            "取消訂閱",
            "停止",
            "停止接收",
            "取消接收",
            "拒收",
            "停止发送",
            "停止發送",
            "停止接收消息",
            "停止接收訊息",
            "停止发送消息",
            "停止發送訊息",
        }
    ),
}

START_WORDS: Final[dict[str, frozenset[str]]] = {
    "af": frozenset({"ek wil boodskappe ontvang", "ek wil weer boodskappe ontvang"}),
    "ar": frozenset(
        {
            "اشترك",
            "إعادة الاشتراك",
            "اعادة الاشتراك",
            "اعاده الاشتراك",
            "إعادة اشتراك",
            "اعادة اشتراك",
            "تفعيل الرسائل",
            "استئناف الرسائل",
        }
    ),
    "bg": frozenset({"абонирай ме", "абонирайте ме", "абониране", "искам да получавам съобщения"}),
    "bn": frozenset({"সাবস্ক্রাইব", "সাবস্ক্রাইব করুন", "আবার সাবস্ক্রাইব করুন", "মেসেজ চালু করুন"}),
    "ca": frozenset(
        {"subscriure", "subscriure'm", "subscriu-me", "subscriviu-me", "tornar a subscriure'm", "vull rebre missatges"}
    ),
    "cs": frozenset(
        {
            "odebírat",
            "odebirat",
            "znovu odebírat",
            "znovu odebirat",
            "přihlásit odběr",
            "prihlasit odber",
            "přihlásit k odběru",
            "prihlasit k odberu",
            "chci dostávat zprávy",
            "chci dostavat zpravy",
        }
    ),
    "da": frozenset({"abonner", "abonner igen", "tilmeld beskeder", "jeg vil gerne modtage beskeder"}),
    "de": frozenset(
        {
            "abonnieren",
            "wieder abonnieren",
            "newsletter abonnieren",
            "newsletter anmelden",
            "nachrichten abonnieren",
            "wieder nachrichten erhalten",
        }
    ),
    "el": frozenset({"εγγραφή στα μηνύματα", "εγγραφη στα μηνυματα", "θέλω να λαμβάνω μηνύματα", "θελω να λαμβανω μηνυματα"}),
    "en": frozenset(
        {
            "start",
            "unstop",
            "subscribe",
            "subscribe me",
            "resubscribe",
            "opt in",
            "opt-in",
            "optin",
            "opt me in",
            "start messages",
            "resume messages",
        }
    ),
    "es": frozenset(
        {
            "suscribir",
            "suscribirme",
            "suscribirse",
            "suscríbeme",
            "suscribeme",
            "volver a suscribirme",
            "reanudar mensajes",
            "activar mensajes",
            "quiero recibir mensajes",
            "volver a recibir mensajes",
        }
    ),
    "fa": frozenset(
        {
            "اشتراک مجدد",
            "اشتراك مجدد",
            "عضویت مجدد",
            "عضويت مجدد",
            "فعال\u200cسازی پیام\u200cها",
            "فعال سازی پیام ها",
            "فعالسازی پیامها",
        }
    ),
    "fi": frozenset(
        {
            "tilaa viestit",
            "tilaa uutiskirje",
            "haluan viestejä",
            "haluan viesteja",
            "haluan taas viestejä",
            "haluan taas viesteja",
        }
    ),
    "fr": frozenset(
        {
            "abonner",
            "m'abonner",
            "s'abonner",
            "abonnez-moi",
            "recevoir les messages",
            "reprendre les messages",
            "je veux recevoir les messages",
        }
    ),
    "he": frozenset(
        {
            "הרשמה לעדכונים",
            "להירשם לעדכונים",
            "הרשמה להודעות",
            "הצטרפות לרשימת התפוצה",
            "רוצה לקבל הודעות",
            "אני רוצה לקבל הודעות",
        }
    ),
    "hi": frozenset(
        {
            "सब्सक्राइब",
            "सब्सक्राइब करें",
            "सब्सक्राइब करो",
            "मैसेज शुरू करो",
            "मैसेज शुरू करें",
            "संदेश शुरू करें",
            "मैसेज चालू करो",
            "मैसेज चालू करें",
            "message shuru karo",
            "message chalu karo",
        }
    ),
    "hr": frozenset(
        {
            "pretplati me",
            "pretplatite me",
            "želim primati poruke",
            "zelim primati poruke",
            "želim opet primati poruke",
            "zelim opet primati poruke",
        }
    ),
    "hu": frozenset(
        {
            "feliratkozás",
            "feliratkozas",
            "feliratkozom",
            "feliratkozni",
            "újra feliratkozom",
            "ujra feliratkozom",
            "kérek üzeneteket",
            "kerek uzeneteket",
        }
    ),
    "id": frozenset({"berlangganan", "mulai berlangganan", "berlangganan lagi", "aktifkan pesan", "saya mau terima pesan"}),
    "it": frozenset(
        {
            "iscrivimi ai messaggi",
            "riattiva messaggi",
            "riattiva i messaggi",
            "voglio ricevere messaggi",
            "voglio ricevere i messaggi",
        }
    ),
    "ja": frozenset({"配信希望", "配信再開", "購読再開", "メルマガ登録", "メッセージ再開", "メッセージ配信希望"}),
    "ko": frozenset(
        {
            "수신동의",
            "수신 동의",
            "수신동의합니다",
            "수신허용",
            "수신 허용",
            "구독하기",
            "재구독",
            "다시 구독",
            "메시지 받기",
            "메시지 수신동의",
        }
    ),
    "ms": frozenset({"langgan", "melanggan", "langgan semula", "aktifkan mesej", "saya mahu terima mesej"}),
    "nb": frozenset({"abonner", "abonner igjen", "jeg vil ha meldinger", "jeg vil ha meldinger igjen"}),
    "nl": frozenset({"abonneren", "opnieuw abonneren", "ik wil berichten ontvangen", "ik wil weer berichten ontvangen"}),
    "pl": frozenset(
        {
            "subskrybuj",
            "subskrybuję",
            "subskrybuje",
            "wznów wiadomości",
            "wznow wiadomosci",
            "chcę otrzymywać wiadomości",
            "chce otrzymywac wiadomosci",
        }
    ),
    "pt": frozenset(
        {
            "inscrever-se",
            "reativar mensagens",
            "receber mensagens",
            "quero receber mensagens",
            "voltar a receber mensagens",
            "quero voltar a receber mensagens",
        }
    ),
    "ro": frozenset(
        {
            "abonare",
            "mă abonez",
            "ma abonez",
            "abonează-mă",
            "aboneaza-ma",
            "vreau să primesc mesaje",
            "vreau sa primesc mesaje",
        }
    ),
    "ru": frozenset(
        {
            "подписаться",
            "подписаться на рассылку",
            "подпишите меня",
            "подпиши меня",
            "возобновить рассылку",
            "включить рассылку",
            "хочу получать сообщения",
        }
    ),
    "sk": frozenset(
        {
            "odoberať",
            "odoberat",
            "znova odoberať",
            "znova odoberat",
            "prihlásiť odber",
            "prihlasit odber",
            "prihlásiť na odber",
            "prihlasit na odber",
            "chcem dostávať správy",
            "chcem dostavat spravy",
        }
    ),
    "sl": frozenset(
        {
            "želim prejemati sporočila",
            "zelim prejemati sporocila",
            "želim spet prejemati sporočila",
            "zelim spet prejemati sporocila",
        }
    ),
    "sr": frozenset(
        {
            "pretplati me",
            "претплати ме",
            "pretplatite me",
            "претплатите ме",
            "želim da primam poruke",
            "zelim da primam poruke",
            "желим да примам поруке",
        }
    ),
    "sv": frozenset({"prenumerera", "prenumerera igen", "jag vill ha meddelanden", "jag vill ha meddelanden igen"}),
    "sw": frozenset({"anza kutuma ujumbe", "nataka kupokea ujumbe", "nataka kupokea ujumbe tena"}),
    "th": frozenset(
        {
            "สมัครรับข่าวสาร",
            "สมัครรับข้อความ",
            "รับข่าวสาร",
            "รับข่าวสารอีกครั้ง",
            "รับข้อความอีกครั้ง",
            "ต้องการรับข้อความ",
            "ต้องการรับข่าวสาร",
        }
    ),
    "tr": frozenset(
        {
            "abone ol",
            "abone olmak istiyorum",
            "tekrar abone ol",
            "yeniden abone ol",
            "mesajları başlat",
            "mesajlari başlat",
            "mesajlari baslat",
            "mesaj almak istiyorum",
        }
    ),
    "uk": frozenset(
        {
            "підписатися",
            "підписатись",
            "підписатися на розсилку",
            "підписатись на розсилку",
            "підпишіть мене",
            "відновити розсилку",
            "поновити розсилку",
            "увімкнути розсилку",
        }
    ),
    "ur": frozenset({"سبسکرائب", "سبسکرائب کریں", "میسج شروع کریں", "پیغامات شروع کریں", "میسج چالو کریں"}),
    "vi": frozenset(
        {
            "đăng ký nhận tin",
            "đăng kí nhận tin",
            "dang ky nhan tin",
            "dang ki nhan tin",
            "đăng ký nhận tin nhắn",
            "dang ky nhan tin nhan",
            "tiếp tục nhận tin",
            "tiep tuc nhan tin",
            "nhận tin trở lại",
            "nhan tin tro lai",
        }
    ),
    "zh": frozenset(
        {
            "订阅",
            "訂閱",
            "重新订阅",
            "重新訂閱",
            "恢复订阅",
            "恢復訂閱",
            "开始接收",
            "開始接收",
            "恢复接收",
            "恢復接收",
        }
    ),
}

# The marketing opt-out button of Meta's templates, whose title follows the template's language and whose payload is
# its title unless the sender chose another, and what people type for it. They stop marketing and nothing else.
PROMOTION_STOP_PHRASES: Final[dict[str, frozenset[str]]] = {
    "af": frozenset({"stop promosies", "stop advertensies", "geen advertensies nie"}),
    "ar": frozenset(
        {
            "إيقاف العروض الترويجية",
            "ايقاف العروض الترويجية",
            "إيقاف العروض",
            "ايقاف العروض",
            "وقف العروض",
            "إيقاف الإعلانات",
            "إيقاف الاعلانات",
            "ايقاف الاعلانات",
            "إيقاف الرسائل الترويجية",
            "ايقاف الرسائل الترويجية",
        }
    ),
    "bg": frozenset({"спиране на промоциите", "спри промоциите", "спрете промоциите", "стоп промоции", "не искам реклами"}),
    "bn": frozenset({"প্রচার বন্ধ করুন", "প্রমোশন বন্ধ করুন", "অফার বন্ধ করুন", "বিজ্ঞাপন বন্ধ করুন"}),
    "ca": frozenset(
        {"aturar promocions", "aturar les promocions", "atura promocions", "atura les promocions", "no vull publicitat"}
    ),
    "cs": frozenset(
        {
            "zastavit propagaci",
            "zastavit promo akce",
            "zastavit promoakce",
            "zastavit reklamu",
            "zastavit reklamy",
            "nechci reklamu",
            "nechci reklamy",
        }
    ),
    "da": frozenset(
        {"stop kampagner", "stop reklamer", "stop tilbud", "stop markedsføring", "stop markedsforing", "ingen reklamer"}
    ),
    "de": frozenset(
        {
            "promotionen stoppen",
            "promotions stoppen",
            "werbeaktionen stoppen",
            "werbung stoppen",
            "werbung abbestellen",
            "keine werbung",
            "keine werbung mehr",
            "stopp werbung",
        }
    ),
    "el": frozenset(
        {
            "διακοπή προωθήσεων",
            "διακοπη προωθησεων",
            "διακοπή προσφορών",
            "διακοπη προσφορων",
            "διακοπή διαφημίσεων",
            "διακοπη διαφημισεων",
            "όχι διαφημίσεισ",
            "οχι διαφημισεισ",
        }
    ),
    "en": frozenset(
        {
            "stop promotions",
            "stop promotion",
            "stop promos",
            "stop promo",
            "stop promotional messages",
            "stop marketing",
            "stop marketing messages",
            "stop ads",
            "stop offers",
        }
    ),
    "es": frozenset(
        {
            "detener promociones",
            "detener las promociones",
            "parar promociones",
            "parar las promociones",
            "detener promos",
            "detener publicidad",
            "parar publicidad",
            "no quiero promociones",
            "no quiero publicidad",
            "no quiero recibir promociones",
            "no quiero recibir publicidad",
        }
    ),
    "fa": frozenset(
        {
            "توقف تبلیغات",
            "توقف تبليغات",
            "لغو تبلیغات",
            "لغو تبليغات",
            "قطع تبلیغات",
            "قطع تبليغات",
            "لغو پیام\u200cهای تبلیغاتی",
            "لغو پیام های تبلیغاتی",
            "لغو پیامهای تبلیغاتی",
        }
    ),
    "fi": frozenset(
        {"lopeta mainokset", "lopeta mainonta", "lopeta markkinointi", "lopeta tarjoukset", "ei mainoksia", "en halua mainoksia"}
    ),
    "fr": frozenset(
        {
            "arrêter les promotions",
            "arreter les promotions",
            "arrêter les promos",
            "arreter les promos",
            "arrêter les publicités",
            "arreter les publicites",
            "arrêter les pubs",
            "arreter les pubs",
            "arrêt des promotions",
            "arret des promotions",
            "stopper les promotions",
            "stop pub",
            "stop pubs",
            "stop publicité",
            "stop publicite",
            "pas de publicité",
            "pas de publicite",
        }
    ),
    "he": frozenset(
        {"הפסק מבצעים", "הפסיקו מבצעים", "הפסקת מבצעים", "להפסיק מבצעים", "הפסק פרסומות", "הפסקת פרסומות", "להפסיק פרסומות"}
    ),
    "hi": frozenset(
        {
            "प्रमोशन बंद करें",
            "प्रमोशन बंद करो",
            "प्रमोशन रोकें",
            "प्रचार बंद करें",
            "ऑफर बंद करें",
            "विज्ञापन बंद करें",
            "विज्ञापन बंद करो",
            "promotion band karo",
            "promotions band karo",
        }
    ),
    "hr": frozenset(
        {
            "zaustavi promocije",
            "zaustavite promocije",
            "prekini promocije",
            "stop promocije",
            "stop promocijama",
            "zaustavi reklame",
            "stop reklame",
            "ne želim reklame",
            "ne zelim reklame",
        }
    ),
    "hu": frozenset(
        {
            "promóciók leállítása",
            "promociok leallitasa",
            "akciók leállítása",
            "akciok leallitasa",
            "reklámok leállítása",
            "reklamok leallitasa",
            "nem kérek reklámot",
            "nem kerek reklamot",
        }
    ),
    "id": frozenset(
        {"hentikan promosi", "hentikan promo", "stop promosi", "stop promo", "berhenti promosi", "hentikan iklan", "stop iklan"}
    ),
    "it": frozenset(
        {
            "interrompi promozioni",
            "interrompi le promozioni",
            "ferma promozioni",
            "ferma le promozioni",
            "stop promozioni",
            "basta promozioni",
            "stop pubblicità",
            "stop pubblicita",
            "basta pubblicità",
            "basta pubblicita",
            "niente pubblicità",
            "niente pubblicita",
        }
    ),
    "ja": frozenset(
        {
            "プロモーション停止",
            "プロモーションの停止",
            "プロモーションを停止",
            "プロモーションを停止する",
            "プロモーション配信停止",
            "広告停止",
            "広告を停止",
            "広告配信停止",
            "宣伝を停止",
        }
    ),
    "ko": frozenset(
        {
            "프로모션 중지",
            "프로모션 중단",
            "프로모션 수신거부",
            "프로모션 수신 거부",
            "광고 중지",
            "광고 중단",
            "광고거부",
            "광고 거부",
            "광고수신거부",
            "광고 수신거부",
            "광고 수신 거부",
            "마케팅 수신거부",
            "마케팅 수신 거부",
        }
    ),
    "ms": frozenset({"hentikan promosi", "henti promosi", "berhenti promosi", "stop promosi", "hentikan iklan", "henti iklan"}),
    "nb": frozenset(
        {"stopp kampanjer", "stopp reklame", "stopp tilbud", "stopp markedsføring", "stopp markedsforing", "ingen reklame"}
    ),
    "nl": frozenset(
        {
            "stop promoties",
            "promoties stoppen",
            "geen promoties",
            "geen promoties meer",
            "stop aanbiedingen",
            "stop reclame",
            "geen reclame",
            "geen reclame meer",
        }
    ),
    "pl": frozenset(
        {
            "zatrzymaj promocje",
            "zakończ promocje",
            "zakoncz promocje",
            "wyłącz promocje",
            "wylacz promocje",
            "stop promocje",
            "stop promocjom",
            "stop reklamy",
            "stop reklamom",
            "nie chcę reklam",
            "nie chce reklam",
        }
    ),
    "pt": frozenset(
        {
            "parar promoções",
            "parar promocoes",
            "parar as promoções",
            "parar as promocoes",
            "parar promoção",
            "parar promocao",
            "interromper promoções",
            "interromper promocoes",
            "pare as promoções",
            "pare as promocoes",
            "sair das promoções",
            "sair das promocoes",
            "não quero promoções",
            "nao quero promocoes",
            "não quero receber promoções",
            "nao quero receber promocoes",
        }
    ),
    "ro": frozenset(
        {
            "opriți promoțiile",
            "opriţi promoţiile",
            "opriti promotiile",
            "oprește promoțiile",
            "opreşte promoţiile",
            "opreste promotiile",
            "stop promoții",
            "stop promoţii",
            "stop promotii",
            "stop reclame",
        }
    ),
    "ru": frozenset(
        {
            "остановить рекламу",
            "отключить рекламу",
            "остановить промоакции",
            "остановить акции",
            "отказаться от рекламы",
            "отписаться от рекламы",
            "стоп реклама",
            "не хочу рекламу",
        }
    ),
    "sk": frozenset(
        {
            "zastaviť propagáciu",
            "zastavit propagaciu",
            "zastaviť promo akcie",
            "zastavit promo akcie",
            "zastaviť reklamu",
            "zastavit reklamu",
            "zastaviť reklamy",
            "zastavit reklamy",
            "nechcem reklamu",
            "nechcem reklamy",
        }
    ),
    "sl": frozenset(
        {
            "ustavi promocije",
            "ustavite promocije",
            "stop promocije",
            "ustavi oglase",
            "ustavite oglase",
            "ne želim oglasov",
            "ne zelim oglasov",
        }
    ),
    "sr": frozenset(
        {
            "zaustavi promocije",
            "заустави промоције",
            "zaustavite promocije",
            "зауставите промоције",
            "stop promocije",
            "стоп промоције",
            "zaustavi reklame",
            "заустави рекламе",
            "ne želim reklame",
            "ne zelim reklame",
            "не желим рекламе",
        }
    ),
    "sv": frozenset(
        {
            "stoppa kampanjer",
            "stoppa erbjudanden",
            "stoppa reklam",
            "stoppa reklamen",
            "stopp reklam",
            "ingen reklam",
            "stoppa marknadsföring",
            "stoppa marknadsforing",
        }
    ),
    "sw": frozenset({"acha matangazo", "sitisha matangazo", "sitaki matangazo", "acha promosheni", "sitisha promosheni"}),
    "th": frozenset(
        {
            "หยุดโปรโมชั่น",
            "หยุดโปรโมชัน",
            "หยุดรับโปรโมชั่น",
            "หยุดรับโปรโมชัน",
            "ยกเลิกรับโปรโมชั่น",
            "ยกเลิกรับโปรโมชัน",
            "ไม่รับโปรโมชั่น",
            "ไม่รับโปรโมชัน",
            "หยุดโฆษณา",
            "ไม่รับโฆษณา",
        }
    ),
    "tr": frozenset(
        {
            "promosyonları durdur",
            "promosyonlari durdur",
            "tanıtımları durdur",
            "tanitimlari durdur",
            "kampanyaları durdur",
            "kampanyalari durdur",
            "reklamları durdur",
            "reklamlari durdur",
            "reklam istemiyorum",
        }
    ),
    "uk": frozenset(
        {
            "зупинити рекламу",
            "вимкнути рекламу",
            "зупинити промоакції",
            "зупинити акції",
            "відмовитися від реклами",
            "відмовитись від реклами",
            "відписатися від реклами",
            "відписатись від реклами",
            "стоп реклама",
            "не хочу реклами",
        }
    ),
    "ur": frozenset(
        {"پروموشن بند کریں", "پروموشنز بند کریں", "تشہیر بند کریں", "اشتہار بند کریں", "اشتہارات بند کریں", "آفرز بند کریں"}
    ),
    "vi": frozenset(
        {
            "dừng khuyến mãi",
            "ngừng khuyến mãi",
            "ngung khuyen mai",
            "dừng quảng cáo",
            "ngừng quảng cáo",
            "ngung quang cao",
            "từ chối quảng cáo",
            "tu choi quang cao",
            "không nhận quảng cáo",
            "khong nhan quang cao",
            "tc qc",
        }
    ),
    "zh": frozenset(
        {
            "停止促销",
            "停止促銷",
            "停止推广",
            "停止推廣",
            "停止宣传",
            "停止宣傳",
            "停止优惠信息",
            "停止優惠訊息",
            "停止接收促销",
            "停止接收促銷",
            "停止广告",
            "停止廣告",
            "拒收广告",
            "拒收廣告",
        }
    ),
    "payload": frozenset(
        {
            "stop promotions",
            "stop-promotions",
            "stoppromotions",
            "stop promotion",
            "stop promo",
            "stop promos",
            "stop marketing",
            "stop-marketing",
            "stopmarketing",
            "unsubscribe marketing",
            "unsubscribe-marketing",
            "unsubscribemarketing",
            "marketing unsubscribe",
            "unsubscribe promotions",
            "opt out marketing",
            "opt-out-marketing",
            "optout marketing",
            "optoutmarketing",
            "marketing opt out",
            "marketing-opt-out",
            "marketing optout",
            "marketingoptout",
            "opt out promotions",
        }
    ),
}

# Meta's own way back is the switch in the chat, which comes as `user_preferences`; these are its words as a text.
PROMOTION_START_PHRASES: Final[dict[str, frozenset[str]]] = {
    "en": frozenset({"resume promotions", "start promotions", "resume marketing", "resume marketing messages"}),
    "es": frozenset({"reanudar promociones", "reanudar las promociones", "quiero recibir promociones"}),
    "fr": frozenset({"reprendre les promotions", "recevoir les promotions"}),
    "it": frozenset({"riprendi promozioni", "riprendi le promozioni", "voglio ricevere promozioni"}),
    "ko": frozenset({"광고 수신동의", "광고 수신 동의", "마케팅 수신동의", "마케팅 수신 동의"}),
    "pt": frozenset(
        {
            "retomar promoções",
            "retomar promocoes",
            "quero receber promoções",
            "quero receber promocoes",
            "voltar a receber promoções",
            "voltar a receber promocoes",
        }
    ),
    "payload": frozenset(
        {
            "resume promotions",
            "resume-promotions",
            "resumepromotions",
            "start promotions",
            "start-promotions",
            "startpromotions",
            "subscribe marketing",
            "subscribe-marketing",
            "subscribemarketing",
            "opt in marketing",
            "opt-in-marketing",
            "optin marketing",
            "optinmarketing",
            "marketing opt in",
            "marketing-opt-in",
            "marketing optin",
            "marketingoptin",
        }
    ),
}
