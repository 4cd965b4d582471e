"""The forms in which numbers are written, as patterns; ``numbers.py`` reads them."""

from __future__ import annotations

import re

SPACES = " \u00a0\u2009\u202f"
NUMBER = re.compile(
    rf"(?P<body>\d{{1,3}}(?:(?:[{SPACES}]|\\[,:;])\d{{3}})+(?!\d)(?:[.,]\d+)?"
    r"|\d+(?:(?:[.,'’´٬٫_]|\{[.,]\}|,\\!|(?<=[０-９])(?:．|，(?=[０-９]{3}(?![０-９]))))\d+)*"
    r"|[.,]\d+|[¼-¾⅐-⅞])(?P<vulgar>\s?[¼-¾⅐-⅞])?"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3})(?!\w)|\s?(?:[×x*·]|\\times|\\cdot)\s?10"
    r"(?:\^\{?(?P<power>[-+−]?\d{1,3})\}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]{1,3})))?"
)
POWER = re.compile(
    r"\s?(?:\^|\*\*)\s?\{?(?P<power>[-+−]?\d{1,3})\}?(?![\w.])|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]{1,3})"
)
"""What a number is raised to; small digits may also be the mark of a note."""
_LATEX_SPACE = re.compile(r",?\\[!,:;]")
_OTHER_MARKS = str.maketrans({"{": "", "}": "", "．": ".", "，": ","})


def plain_body(body: str) -> str:
    """The digits and marks of a number without those of formulas (``1{,}000``, ``1\\,000``) and wide ones."""
    return _LATEX_SPACE.sub(" ", body).translate(_OTHER_MARKS)


NOT_A_NUMBER = re.compile(
    r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)"  # a date
    r"|\d{1,2}:\d{2}(?::\d{2})?(?!\d)"  # a time
    r"|(?<!\d)\d+(?:\.\d+){3,}"  # an address, a long version
    r"|[vV]\d+(?:\.\d+)+"
    r"|0[xX][0-9a-fA-F]+"
)
LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d{1,9})\s*\}\s*\{\s*(\d{1,9})\s*\}")
FRACTION = re.compile(r"(?<![\w./])(?P<top>\d{1,4})[/⁄](?P<bottom>\d{1,4})(?![\w/])")
MIXED_FRACTION = re.compile(
    r"(?<![\w./])(?P<whole>\d{1,6})[ \u00a0-](?P<top>\d{1,2})[/⁄](?P<bottom>\d{1,2})(?![\w/])"
)
OUT_OF = frozenset({5, 10, 20, 100})
"""What marks are given out of: 7/10 can mean seven of ten."""
VULGAR = frozenset("¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞")

COMMA_LIST = re.compile(r"\d+(?:,\d+){2,}")
GROUPS = re.compile(
    r"\d{1,3}(?:(?:,\d{3})+|(?:,\d{2})+,\d{3}|(?:,\d{4})+)(?:\.\d+)?"
    r"|\d{1,3}(?:(?:\.\d{3})+|(?:\.\d{4})+)(?:,\d+)?"
)
"""Thousands, the lakhs of India, and the myriads of China."""
THOUSANDS = re.compile(r",\d{3}(?!\d)")

SIGNS = "-+−–﹣－＋"
MINUS = re.compile(
    r"(?:(?<![\w)\]])[-−–﹣－]\s?(?:[$€£¥₹]|US\$|(?:USD|EUR|GBP|CHF)\s)\s?"
    r"|\b(?P<word>minus|negative|moins|menos|meno)\s)\Z",
    re.IGNORECASE,
)
"""A minus before a currency, or a word for it, right before a number."""
FAR_SIGN = re.compile(r"(?<![\w%)\]])\s[-−–]\s\Z|\A[-−–]\s\Z")
"""A dash that may be a minus."""
BRACKETS = re.compile(r"\((?:\s*[$€£¥]|\s*(?:USD|EUR|GBP|CHF))?\s*\Z")
PERCENT = re.compile(
    r"\s?\\?(?:(?P<mille>‰|(?:per ?mille?|promille?|pour mille|por mil|per mil)\b)|(?P<myriad>‱)"
    r"|[%٪％]|(?:percent|per cent|prozent|pour cent|por ciento|por cento|per cento|procent"
    r"|procenten|proc|процент\w{0,3})\b)",
    re.IGNORECASE,
)
PERCENT_BEFORE = re.compile(r"(?<![\w%)\]])[%٪％]\s?\Z")
"""Turkish and Basque write %50."""
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f]"
)
"""Letters beside which a number may stand without a space."""
NAMED = re.compile(r"\b[A-Z]\w{0,30}[-\u2011]\Z")
"""A name whose number follows: COVID-19, B-52."""
LIST_MARK = re.compile(r"(?m)^[ \t]{0,16}(\d{1,3})[.)]\s+(?=\S)")
