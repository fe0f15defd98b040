"""Which class a folder's name speaks of: its own name, or a usual word for it in many languages."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a capital begins a new word inside a name: `HappyFaces` has two words."""

_ACCENT = re.compile("[\u0300-\u036f]")
_UNDIVIDED = str.maketrans("łøđıŁØĐ", "lodiLOD")
"""Letters with a stroke or without a dot, which Unicode does not take apart."""

_CLASS_WORDS = {
    "happy": r"""
    happiness|happily|happier|happiest|joy|joyful|joyous|joyfully|smil(e|es|ed|ing|ey|eys)|glad
    gladness|cheer|cheers|cheery|cheerful|cheering|cheerfulness|delight|delighted|merry|jolly|elated
    laugh(s|ed|ing|ter)?|overjoyed|joviale?
    glücklich(e[nmrs]?)?|gluecklich(e[nmrs]?)?|fröhlich(e[nmrs]?)?|froehlich(e[nmrs]?)?|froh(e[nmrs]?)?
    freude|fröhlichkeit|glück|glueck|läch(eln|elnd|elnde[nmrs]?)|laech(eln|elnd|elnde[nmrs]?)|heiter
    lachen|lachend(e[nmrs]?)?|heureu(x|ses?)|joyeu(x|ses?)|joie|bonheur|contentes?|sourires?
    souriante?s?|feliz|felices|felizes|felicidade?|alegr(es?|ia|ias)|content[ao]s?|sonrisas?
    sonrientes?|sonriendo|sorrisos?|sorrindo|sorridentes?|felic[ei]|felicita|allegr[oaie]|allegria
    gioia|gioios[oaie]|contenti|sorris[oi]|sorridenti|blij|blije|blijdschap|gelukkige?|geluk
    vrolijke?|vreugde|glimlach|glada|lyckliga?|glädje|lykkeligt?|lykkelige|glæde|glede|gladlynt
    iloi(nen|set)|onnelli(nen|set)|szczęśliw[yaei]|szczęście|wesoł[yaei]|weseli|radosn[yaei]
    radość|uśmiech|uśmiechnięt[yaei]|šťastn[yaei]|štěstí|vesel[yaei]?|radost|radosť|srećn[aie]|sretn[aie]
    sretan|srećan|boldog|boldogság|vidám|fericit[aei]?|bucuros|fericire|mutlu|mutluluk|neşeli|sevinç
    sevinçli|gülen|gülümseyen|gülümseme|bahagia|kebahagiaan|senang|gembira|kegembiraan|ceria|senyum
    tersenyum|masaya|furaha|счастлив(ый|ая|ое|ые|ы|а)?|счастье|весел(ый|ая|ое|ые|ье)|весел|радост(ь|но)
    радостн(ый|ая|ое|ые)|улыб(ка|ки)|улыбающ(ийся|аяся|иеся)|щаслив(ий|а|е|і)|щастя|весел(ий|а|е|і)
    радіс(ть|но)|радісн(ий|а|е|і)|усміш(ка|ки)|щастлив(и|а|о)?|радост|усмивк[аи]|χαρουμεν(ος|η|ο|οι|ες|α)
    ευτυχισμεν(ος|η|ο|οι|ες|α)|χαρα|ευτυχια|开心|開心|高兴|高興|快乐|快樂|幸福|喜悦|喜悅|愉快|欢乐|歡樂|微笑|笑脸
    笑臉|笑|喜|幸せ|しあわせ|嬉しい|うれしい|喜び|楽しい|たのしい|笑顔|えがお|笑い|ハッピー|행복|행복한|행복함|기쁨|기쁜
    즐거움|즐거운|웃음|웃는|미소|(ال)?سعيد(ة)?|(ال)?سعداء|(ال)?سعادة|(ال)?فرح|فرحان(ة)?|(ال)?مبتسم(ة)?|شاد
    خوشحال|خوش|खुश|ख़ुश|खुशी|ख़ुशी|प्रसन्न|प्रसन्नता|सुखी|आनंद|मुस्कान|সুখী|খুশি|আনন্দ|มีความสุข|ดีใจ|שמח|שמחה|שמחים|מאושר
    """,
    "sad": r"""
    sadness|sadly|sadder|saddest|saddened|unhappy|unhappiness|depress(ed|ion|ing|ive)|sorrow|sorrows
    sorrowful|cry|cries|cried|crying|tears|tearful|weep|weeping|grief|grieving|gloom|gloomy|miserable
    misery|mourn|mourning|mournful|melancholy|melancholic|heartbroken|dejected|joyless|cheerless
    traurig(e[nmrs]?)?|trauer|trauernd(e[nmrs]?)?|traurigkeit|unglücklich(e[nmrs]?)?|deprimiert(e[nmrs]?)?
    ungluecklich(e[nmrs]?)?|unfroh|weinen|weinend(e[nmrs]?)?|betrübt(e[nmrs]?)?|tristes?|tristesse|chagrin
    malheureu(x|ses?)|malheur|déprimée?s?|pleurs|pleurant|triste(za|zza)|tristezas|infeliz|infelices
    infelizes|infelicidade?|deprimid[oa]s?|llorando|llanto|chorando|choro|tristi|infelic[ei]|infelicita
    depress[oaie]|piangente|piangenti|pianto|verdrietige?|verdriet|droevige?|treurige?|ongelukkige?
    bedroefde?|sombere?|huilen|huilende?|ledsna|ledsen|sorgsen|sorgsna|olyckliga?|trist|ulykkelige?|bedrøvet
    sørgmodig|surulli(nen|set)|onneton|smutn[yaei]|smutek|nieszczęśliw[yaei]|zasmucon[yaei]
    przygnębion[yaei]|smutok|nešťastn[yaei]|tužn[aie]|tužan|nesretn[aie]|nesretan|nesrećn[aie]|nesrećan
    szomorú|szomorúság|boldogtalan|trist[aei]|tristete|nefericit[aei]?|üzgün|mutsuz|mutsuzluk|üzüntü|üzüntülü
    hüzün|hüzünlü|ağlayan|sedih|kesedihan|duka|murung|menangis|malungkot|huzuni|груст(ь|но)
    грустн(ый|ая|ое|ые)|печаль|печально|печальн(ый|ая|ое|ые)|несчаст(ье|лив(ый|ая|ое|ые)?)
    несчастн(ый|ая|ое|ые)|невесел(ый|ая|ое|ые)?|невесело|тоска|плач|плачущ(ий|ая|ие)|сум|смуток|нещастя
    сумн(ий|а|е|і)|нещасн(ий|а|е|і)|нещаслив(ий|а|е|і)|невесел(ий|а|е|і)|тъж(ен|на|но|ни)|нещаст(ен|на|ни)
    λυπημεν(ος|η|ο|οι|ες|α)|θλιμμεν(ος|η|ο|οι|ες|α)|λυπη|θλιψη|δυστυχισμεν(ος|η|ο|οι|ες|α)|悲伤|悲傷|难过|難過
    伤心|傷心|悲哀|不开心|不開心|不高兴|不高興|不快乐|不快樂|不幸福|忧伤|憂傷|忧郁|憂鬱|抑郁|沮丧|沮喪|哭泣|哭|悲|悲しい
    かなしい|悲しみ|哀しい|哀しみ|泣き顔|泣く|不幸|不幸せ|슬픔|슬픈|슬퍼|우울|우울한|우울함|불행|불행한|눈물|우는
    (ال)?حزين(ة)?|(ال)?حزن|حزانى|(ال)?تعيس(ة)?|(ال)?مكتئب(ة)?|(ال)?اكتئاب|(ال)?بكاء|غمگین|ناراحت|اداس|ناشاد|ناخوش
    दुखी|दुःखी|दुख|दुःख|उदास|उदासी|नाखुश|नाख़ुश|अप्रसन्न|দুঃখী|দুঃখিত|বিষণ্ণ|เศร้า|เสียใจ|עצוב|עצובה|עצובים|עצבות
    """,
}
"""Usual words for a class, as a regular expression of whole words without accents.

Left out are those that mean something else in another of these languages: French `content` is also
a folder of contents, Vietnamese `buồn` without its accents is Italian `buon`.
"""

_OVERRULING_WORDS = """
    not no non un never without quarantine nor neither less anti dis mal isn isnt
    aren arent dont doesn nicht kein keine keinen ohne nie pas sans sin ni nao sem
    nem senza mai niet geen zonder inte ej utan ikke uten uden ei ne bez nu fara nem
    degil tidak bukan tanpa не нет без ни немає не δεν μη οχι χωρις 不 没 沒 没有 沒有 非 无
    無 不是 ない 안 لا ليس ليست غير بدون बिना नहीं না ไม่ לא
"""
"""Words that keep a folder from being a class folder: `not happy` is not Happy."""


def _fold(text: str) -> str:
    """Return a text in lower case, in one way of writing, without accents."""
    bare = _ACCENT.sub("", unicodedata.normalize("NFKD", text))
    folded = unicodedata.normalize("NFKD", bare.translate(_UNDIVIDED).casefold())
    return unicodedata.normalize("NFC", _ACCENT.sub("", folded))


def _split_words(name: str) -> list[str]:
    """Return a name's words, folded: letters and the marks that belong to them."""
    parted = _WORD_BOUNDARY.sub(" ", _ACCENT.sub("", unicodedata.normalize("NFKD", name)))
    return "".join(
        letter if unicodedata.category(letter)[0] in "LM" else " " for letter in _fold(parted)
    ).split()


@cache
def _compile_words(class_name: str) -> re.Pattern[str]:
    words = _CLASS_WORDS.get(class_name.casefold(), "").split()
    return re.compile(_fold("|".join(words)) or r"(?!)")


def find_named_classes(name: str, class_names: tuple[str, ...]) -> list[str]:
    """Return the classes that a folder's name speaks of.

    Args:
        name: The name; its words count, whatever their case and accents.
        class_names: The classes in label order.

    Returns:
        Those whose name, or a usual word for which, stands in it; several when it is ambiguous.

    Example:
        >>> find_named_classes("Glückliche_Gesichter", ("Sad", "Happy"))
        ['Happy']
        >>> find_named_classes("unhappy", ("Sad", "Happy"))
        ['Sad']
    """
    words = _split_words(name)
    joined = f" {' '.join(words)} "
    return [
        each
        for each in class_names
        if f" {' '.join(_split_words(each))} " in joined
        or any(map(_compile_words(each).fullmatch, words))
    ]


def is_negated(name: str) -> bool:
    """Tell whether a folder's name says that it does not hold what it speaks of, or set aside."""
    return not _overruling().isdisjoint(_split_words(name))


@cache
def _overruling() -> frozenset[str]:
    return frozenset(_fold(_OVERRULING_WORDS).split())
