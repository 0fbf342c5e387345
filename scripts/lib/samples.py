"""Sample objects, the same at every run: one of 64 MiB, and 200 small ones with names that trip up careless software.

Knows bytes and names only; where they are kept is others' business.
"""
import random

SEED = 20_261_124
BIG_KEY = "big/data.bin"
BIG_SIZE = 64 << 20
SMALL_PREFIX = "small/"
SMALL_COUNT = 200
SMALL_MAX_SIZE = 20_000

# Each word alone has broken an uploader, a shell script or a URL somewhere.
WORDS = [
    "plain", "two words", "double  space", "it's", 'say "hi"', "100% sure", "%41 is not A", "a+b", "a b", "this & that",
    "x=y", "why?", "#1", "C# notes", "50%25", "semi;colon", "comma, dot.", "(round) [square] {curly}", "tilde~", "at@sign",
    "dollar$HOME", "back`tick", "star*", "pipe|line", "less<more>", "colon:here", "caret^", "bang!", "under_score", "-dash first",
    "Grüße", "café", "cafe\u0301", "naïve", "Žluťoučký kůň", "Ελληνικά", "Русский язык", "Українська", "עברית", "العربية",
    "हिन्दी", "ไทย", "中文文件", "日本語のファイル", "한국어", "ქართული", "አማርኛ", "Tiếng Việt", "😀", "🚀 launch", "👩‍👩‍👧 family",
    "🏳️‍🌈", "mixed 中 и é 🎉",
]
ENDINGS = ["", ".txt", ".csv", ".tar.gz", ".JSON", " (1).pdf", " .x"]


def big(size: int = BIG_SIZE, seed: int = SEED) -> bytes:
    return random.Random(seed).randbytes(size)


def small() -> dict[str, bytes]:
    """The 200 small objects: key below SMALL_PREFIX -> bytes. One is empty, some lie in folders of their own."""
    rng = random.Random(SEED + 1)
    objects: dict[str, bytes] = {}
    while len(objects) < SMALL_COUNT:
        number = len(objects)
        word = WORDS[number % len(WORDS)]
        folder = f"{rng.choice(WORDS)} {number}/" if number % 5 == 4 else ""
        name = f"{folder}{word}{'' if number < len(WORDS) else f' {number}'}{rng.choice(ENDINGS)}"
        objects[name] = rng.randbytes(0 if number == 7 else rng.randint(1, SMALL_MAX_SIZE))
    return objects
