"""Frames of the generated text: each writes one short document in which something is copied.

A frame takes a random generator and returns text. What they teach: a name, number or thing that
stands earlier in the text comes again letter for letter; a field that the text does not fill is
"none"; of two values the corrected one counts; of several people or things the right one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from words import (
    CITIES,
    COLOURS,
    DAYS,
    PLAIN,
    clock,
    code,
    date,
    digits,
    email,
    first,
    letters,
    made_up,
    person,
    phone,
    place,
    price,
    thing,
)

Frame = Callable[[random.Random], str]
NONE = ["none", "none", "none", "not given", "-"]

# A fact: its key names, how to make a value, and sentences that state it.
FACTS: dict[str, tuple[list[str], Callable[[random.Random], str], list[str]]] = {
    "name": (
        ["name", "guest", "visitor", "sender", "contact", "from"],
        person,
        [
            "My name is {}.",
            "This is {} speaking.",
            "{} here.",
            "I am {}.",
            "It is booked under {}.",
            "Please put it under the name {}.",
            "Signed, {}",
            "Best wishes, {}",
            "Yours, {}",
            "– {}",
        ],
    ),
    "code": (
        ["reference", "code", "booking", "file number", "ticket no", "id", "case"],
        code,
        [
            "The reference is {}.",
            "Reference {}.",
            "You gave me the code {}.",
            "My file is {}.",
            "It says {} on the slip.",
            "The number on the letter is {}.",
            "(ref. {})",
            "See {}.",
            "I was told to quote {}.",
            "The label reads {}.",
        ],
    ),
    "place": (
        ["place", "city", "location", "town", "branch"],
        place,
        [
            "I live in {}.",
            "We are in {} now.",
            "It is for the branch in {}.",
            "I travel from {}.",
            "The meeting point is {}.",
            "We moved to {} last year.",
        ],
    ),
    "thing": (
        ["item", "object", "thing", "article"],
        thing,
        [
            "It is about a {}.",
            "I left my {} there.",
            "We would like to borrow the {}.",
            "The {} belongs to my sister.",
            "I saw the {} in your window.",
            "I need a {} for a week.",
            "Somebody took our {}.",
        ],
    ),
    "date": (
        ["date", "day", "when"],
        date,
        [
            "It should be on {}.",
            "We arrive on {}.",
            "The date is {}.",
            "Let us say {}.",
            "Would {} suit you?",
            "{} is best for us.",
        ],
    ),
    "time": (
        ["time", "hour", "at"],
        clock,
        [
            "We come at {}.",
            "At {} if possible.",
            "It begins at {}.",
            "Around {}, I think.",
        ],
    ),
    "price": (
        ["price", "amount", "cost", "paid", "fee"],
        price,
        [
            "I paid {}.",
            "It cost {}.",
            "The fee was {}.",
            "They asked for {}.",
            "That makes {}.",
        ],
    ),
    "phone": (
        ["phone", "telephone", "call back"],
        phone,
        [
            "Call me at {}.",
            "My phone is {}.",
            "You reach me under {}.",
            "Telephone: {}.",
        ],
    ),
    "count": (
        ["people", "seats", "count", "how many"],
        lambda r: str(r.randint(2, 60)),
        [
            "There will be {} of us.",
            "We need {} places.",
            "I want {} of them.",
            "{} people come.",
        ],
    ),
    "colour": (
        ["colour", "color"],
        lambda r: r.choice(COLOURS),
        [
            "It is {}.",
            "In {}, please.",
            "The {} one.",
            "I think it was {}.",
        ],
    ),
}
SMALL_TALK = [
    "Thank you for the quick answer.",
    "The weather is awful today.",
    "I hope you are well.",
    "I have been here before and liked it.",
    "My brother told me about you.",
    "See you soon!",
    "Please write back when you can.",
    "Sorry for the long message.",
    "It was raining all day.",
    "We look forward to it.",
    "The website did not load.",
    "I tried to call but nobody answered.",
    "Do you have parking?",
    "Is there wifi in the building?",
    "The app shows an error.",
    "I forgot my password again.",
    "My battery is nearly empty, so I keep this short.",
    "The children are excited.",
    "I am writing on the train.",
    "Last time it was perfect.",
]
INTENTS: dict[str, list[str]] = {
    "booking": [
        "I would like to book.",
        "Can we reserve?",
        "Please put us on the list.",
        "Is there still room for us?",
        "We want to sign up.",
    ],
    "cancel": [
        "We cannot come after all.",
        "Please cancel it.",
        "I have to call it off.",
        "Take us off the list, please.",
        "Something came up, we stay at home.",
    ],
    "change": [
        "Can we move it to another day?",
        "I need to change the booking.",
        "Could it be later instead?",
        "We need a different room.",
    ],
    "question": [
        "Are dogs allowed?",
        "How do I get there?",
        "When do you close?",
        "Can you tell me more?",
        "Is it open on holidays?",
    ],
    "thanks": [
        "It was wonderful, thank you.",
        "Thanks for everything!",
        "We loved it.",
        "What a lovely day that was.",
    ],
    "lost": [
        "I think I lost it at your place.",
        "Did anybody hand it in?",
        "It must have fallen out of my bag.",
        "Have you found it?",
    ],
}
HEADS = [
    ("Message:\n", "\nForm:\n"),
    ("Text: ", "\n\n"),
    ("", "\n---\n"),
    ("Mail:\n", "\n\nNotes:\n"),
    ("### Input:\n", "\n\n### Response:\n"),
    ("### Text\n", "\n\n### Fields\n"),
    ("> ", "\n\n"),
    ("Letter\n\n", "\n\nSummary\n\n"),
    ('"', '"\n\n'),
    ("Note: ", "\n=> "),
]


def _value(rng: random.Random, fact: str) -> str:
    return FACTS[fact][1](rng)


def _say(rng: random.Random, fact: str, value: str) -> str:
    return rng.choice(FACTS[fact][2]).format(value)


def _typo(rng: random.Random, text: str) -> str:
    """Two neighbouring letters change places, as in hasty writing."""
    if len(text) < 12:
        return text
    i = rng.randrange(1, len(text) - 2)
    if text[i].islower() and text[i + 1].islower():
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return text


def form(rng: random.Random) -> str:
    """A message, then its facts as ``key: value`` lines; what it does not say is none."""
    kinds = rng.sample(list(FACTS), rng.randint(2, 6))
    intent = rng.choice(list(INTENTS))
    values: dict[str, str] = {}
    parts = [rng.choice(INTENTS[intent])]
    for kind in kinds:
        if rng.random() < 0.78:
            values[kind] = _value(rng, kind)
            if rng.random() < 0.12:  # said wrongly first, then corrected
                wrong = _value(rng, kind)
                repair = rng.choice(["no, {}", "wait, {}", "scratch that, {}", "rather {}"])
                said = f"{wrong}, {repair.format(values[kind])}"
                parts.append(_say(rng, kind, said))
            else:
                parts.append(_say(rng, kind, values[kind]))
    parts += rng.sample(SMALL_TALK, rng.choice([0, 1, 1, 2, 2, 3, 4, 6]))
    rng.shuffle(parts)
    if rng.random() < 0.3:
        parts = [_typo(rng, part) for part in parts]
    message = " ".join(parts)
    if rng.random() < 0.4:
        message = (
            rng.choice(["Hello, ", "Good evening! ", "Dear all, ", "hey ", "To the office: "])
            + message
        )
    before, after = rng.choice(HEADS)
    absent = rng.choice(NONE)
    asked = list(dict.fromkeys(kinds + rng.sample(list(FACTS), rng.randint(0, 2))))
    fields = [(rng.choice(FACTS[kind][0]), values.get(kind, absent)) for kind in asked]
    if rng.random() < 0.6:
        fields.insert(rng.randint(0, len(fields)), (rng.choice(["kind", "type", "intent"]), intent))
    lines = [f"{key}: {value}" for key, value in fields]
    if rng.random() < 0.35:  # the wanted fields are announced
        names = ", ".join(key for key, _ in fields)
        ask = rng.choice(["Fill in: {}.", "Fields: {}", "Find {} in the text.", "Note down {}."])
        before = (
            f"{rng.choice(['', '### Instructions: ', 'Task: '])}{ask.format(names)}\n\n{before}"
        )
    if rng.random() < 0.4 and "name" in values:
        about = f" about the {values['thing']}" if "thing" in values else ""
        lines.append(
            f"answer: {rng.choice(['Hello', 'Dear'])} {values['name'].split()[0]}, "
            f"{rng.choice(['we have noted your message', 'thanks for your note', 'we will see to it'])}{about}."
        )
    return f"{before}{message}{after}" + "\n".join(lines)


def lookup(rng: random.Random) -> str:
    """Records, then questions about them."""
    n = rng.randint(2, 6)
    maker: Callable[[random.Random], str] = rng.choice([code, phone, place, price, date, thing])
    key: Callable[[random.Random], str] = rng.choice([person, first, made_up, thing, place])
    rows = {key(rng): maker(rng) for _ in range(n)}
    sep = rng.choice([": ", " = ", " - ", " -> ", ", "])
    text = "\n".join(f"{k}{sep}{v}" for k, v in rows.items()) + "\n"
    for name in rng.sample(list(rows), min(len(rows), rng.randint(1, 3))):
        ask = rng.choice(
            [
                "\nQ: What is noted for {}?\nA: {}",
                "\n{}? {}",
                "\nFor {} it is {}.",
                "\nQuestion: {}\nAnswer: {}",
                "\nThe entry of {} says {}.",
            ]
        )
        text += ask.format(name, rows[name])
    return text


def reverse_lookup(rng: random.Random) -> str:
    """Who has what: the value is given, the name wanted."""
    rows = {code(rng): person(rng) for _ in range(rng.randint(2, 5))}
    text = " ".join(f"{name} has {key}." for key, name in rows.items())
    for key in rng.sample(list(rows), rng.randint(1, 2)):
        text += rng.choice(["\nWho has {}? {}", "\n{} is with {}.", "\n{}: {}"]).format(
            key, rows[key]
        )
    return text


def repeated_list(rng: random.Random) -> str:
    """A list, something else, the same list again."""
    maker: Callable[[random.Random], str] = rng.choice(
        [code, person, made_up, thing, lambda r: digits(r, 2, 8), lambda r: r.choice(PLAIN), phone]
    )
    items = [maker(rng) for _ in range(rng.randint(2, 8))]
    style = rng.choice(["- {}", "* {}", "{i}. {}", "{}", "{},"])

    def block() -> str:
        return "\n".join(style.format(item, i=i + 1) for i, item in enumerate(items))

    title = rng.choice(["List", "Copy", "Order of the day", "To do", "Packing", "Names", "Stock"])
    between = rng.choice(SMALL_TALK) if rng.random() < 0.5 else ""
    again = rng.choice(["again", "once more", "(copy)", "repeated"])
    return f"{title}\n{block()}\n{between}\n{title} {again}\n{block()}"


def induction(rng: random.Random) -> str:
    """A random sequence of words or characters, twice or three times."""
    unit = rng.choice(
        [
            lambda: rng.choice(PLAIN),
            lambda: made_up(rng, 1, 2),
            lambda: digits(rng, 1, 3),
            lambda: letters(rng, 2),
            lambda: letters(rng, 1).lower(),
        ]
    )
    run = " ".join(unit() for _ in range(rng.randint(4, 24)))
    return rng.choice(["\n", " | ", " ; ", " "]).join([run] * rng.randint(2, 3))


def quoted(rng: random.Random) -> str:
    """Short prose in which a name, a number and a thing come back."""
    who, what, where, ref = person(rng), thing(rng), place(rng), code(rng)
    given = who.split()[0]
    opening = rng.choice(
        [
            f"{who} lives in {where} and has a {what}.",
            f"In {where}, {who} found a {what} marked {ref}.",
            f"The {what} of {who} came from {where}.",
            f"{who} sent the {what} with number {ref} to {where}.",
        ]
    )
    if ref not in opening:
        opening += f" Its number is {ref}."
    later = [
        f"{given} says that the {what} is still in {where}.",
        f"Everybody in {where} knows {who}.",
        f"The {what} has the number {ref}.",
        f'"{ref}", said {given}, "that is the {what}."',
        f"Ask {who} about {ref}.",
        f"Later {given} {who.split()[1]} left {where} without the {what}.",
    ]
    return " ".join([opening, *rng.sample(later, rng.randint(2, 5))])


def table(rng: random.Random) -> str:
    """A small table and a row asked for."""
    columns = rng.sample(["name", "code", "city", "price", "date", "item"], 3)
    makers: dict[str, Callable[[random.Random], str]] = {
        "name": person,
        "code": code,
        "city": lambda r: r.choice(CITIES),
        "price": price,
        "date": date,
        "item": thing,
    }
    rows = [[makers[c](rng) for c in columns] for _ in range(rng.randint(2, 5))]
    sep = rng.choice([",", " | ", "\t", ";"])
    text = "\n".join(sep.join(row) for row in [columns, *rows])
    row = rng.choice(rows)
    a, b = rng.sample(range(3), 2)
    return text + f"\n\n{columns[a]} {row[a]}: {columns[b]} {row[b]}"


def dialogue(rng: random.Random) -> str:
    """Two people; one repeats what the other said."""
    a, b = first(rng), first(rng)
    kind = rng.choice(["code", "phone", "date", "time", "place", "price", "name"])
    value = _value(rng, kind)
    ask = {
        "code": "What is the reference?",
        "phone": "What is your number?",
        "date": "Which day?",
        "time": "What time?",
        "place": "Where is it?",
        "price": "How much was it?",
        "name": "What name, please?",
    }[kind]
    turns = [
        f"{a}: {ask}",
        f"{b}: {rng.choice(['It is {}.', '{}.', '{}, I think.', 'One moment... {}.']).format(value)}",
        f"{a}: {rng.choice(['So {}, right?', '{}, thank you.', 'I wrote down {}.', 'Did you say {}?']).format(value)}",
    ]
    if rng.random() < 0.4:
        other = _value(rng, kind)
        turns += [
            f"{b}: {rng.choice(['No, make it {}.', 'Not quite: {}.', 'Better {}.']).format(other)}",
            f"{a}: {rng.choice(['Then {}.', 'Changed to {}.', '{} it is.']).format(other)}",
        ]
        value = other
    else:
        turns.append(f"{b}: {rng.choice(['Yes.', 'Exactly.', 'That is right.'])}")
    if rng.random() < 0.6:
        turns.append(f"({rng.choice(FACTS[kind][0])}: {value})")
    return "\n".join(turns)


def mail(rng: random.Random) -> str:
    """A short mail with headers, and the answer that quotes it."""
    a, b = person(rng), person(rng)
    what, ref, day = thing(rng), code(rng), date(rng)
    head = f"From: {a} <{email(rng, a)}>\nTo: {b} <{email(rng, b)}>\nSubject: {what}, {ref}\n\n"
    body = f"Hi {b.split()[0]},\n\nthe {what} ({ref}) is ready. You can pick it up on {day}. {rng.choice(SMALL_TALK)}\n\n{a}"
    answer = (
        f"\n\nFrom: {b}\nTo: {a}\nSubject: Re: {what}, {ref}\n\nHi {a.split()[0]},\n\n"
        f"{rng.choice(['good', 'thanks', 'perfect'])}, {rng.choice(['I come', 'see you', 'we take it'])} on {day}. "
        f"{rng.choice(['Is it still', 'I hope it is'])} the {what} with number {ref}.\n\n{b}"
    )
    return head + body + answer


def settings(rng: random.Random) -> str:
    """A settings file, an edit, and the file afterwards."""
    keys = rng.sample(PLAIN, rng.randint(3, 6))
    values = {
        k: rng.choice([digits(rng, 1, 4), rng.choice(["on", "off"]), made_up(rng).lower()])
        for k in keys
    }
    sep = rng.choice([" = ", ": ", "="])
    before = "\n".join(f"{k}{sep}{v}" for k, v in values.items())
    changed = rng.choice(keys)
    values[changed] = rng.choice([digits(rng, 1, 4), made_up(rng).lower()])
    after = "\n".join(f"{k}{sep}{v}" for k, v in values.items())
    return f"{before}\n\nset {changed} to {values[changed]}\n\n{after}"


def pick(rng: random.Random) -> str:
    """Several people, each with one thing; the question names one of them."""
    n = rng.randint(2, 4)
    people, things = (
        rng.sample([first(rng) for _ in range(12)], n),
        rng.sample([thing(rng) for _ in range(12)], n),
    )
    verbs = rng.choice(
        [
            ("bought", "buy"),
            ("lost", "lose"),
            ("wants", "want"),
            ("repaired", "repair"),
            ("found", "find"),
        ]
    )
    told = " ".join(f"{p} {verbs[0]} the {t}." for p, t in zip(people, things, strict=True))
    i = rng.randrange(n)
    ask = rng.choice(
        [
            f"What did {people[i]} {verbs[1]}? The {things[i]}.",
            f"{people[i]}: {things[i]}",
            f"{things[i]}: {people[i]}",
            f"The {things[i]} goes with {people[i]}.",
        ]
    )
    return f"{told}\n{ask}"


def modern(rng: random.Random) -> str:
    """Plain sentences with the words of today."""
    forms = [
        "The {} of the {} is in the {}.", "Please check the {} before you open the {}.",
        "Our {} has a new {} since {d}.", "You can change the {} in the {} of the {}.",
        "If the {} does not work, restart the {}.", "Each {} needs a {} and a {}.",
        "They sold {n} {}s in one {}.", "We meet at the {} at {t} with the {}.",
        "The {} costs more than the {}, but the {} is better.", "Is the {} next to the {}?",
        "Nobody knew the {} of the {}.", "Send the {} to the {} by {d}.",
    ]  # fmt: skip
    out = []
    for _ in range(rng.randint(3, 8)):
        line = rng.choice(forms).replace("{d}", rng.choice(DAYS)).replace("{n}", digits(rng, 1, 3))
        line = line.replace("{t}", clock(rng))
        while "{}" in line:
            line = line.replace("{}", rng.choice(PLAIN), 1)
        out.append(line)
    return " ".join(out)


FRAMES: list[tuple[Frame, float]] = [
    (form, 0.31), (lookup, 0.10), (reverse_lookup, 0.04), (repeated_list, 0.11), (induction, 0.15),
    (quoted, 0.07), (table, 0.04), (dialogue, 0.06), (mail, 0.03), (settings, 0.02), (pick, 0.03),
    (modern, 0.02),
]  # fmt: skip
