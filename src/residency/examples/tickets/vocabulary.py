"""Words and phrasings of the tickets example, written for it.

Two banks of phrasings lie beside this file as JSON: ``TRAIN`` (used by train and pool) and ``EVAL``
(used by dev and test). No phrasing,
product or person stands in both, so a score on dev cannot come from a remembered sentence.
Dev and test share phrasings but no product and no person.
``{p}`` is a product, ``{a}`` a product with its article, ``{q}`` and ``{b}`` the same for a second
product, ``{n}`` a number or name, ``{w}`` and ``{v}`` a wrong and a right value. ``[one|another]``
is a choice. Deadlines ("[tomorrow|on Saturday|…]") and the words that open sarcasm are the same on
both sides; what follows them differs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROBLEMS = (
    "leak",
    "no power",
    "noise",
    "overheating",
    "broken part",
    "missing part",
    "late delivery",
    "wrong item",
)
DELIVERY_PROBLEMS = ("late delivery", "wrong item")
REQUESTS = ("refund", "replacement", "repair", "information")


@dataclass(frozen=True)
class Bank:
    """Every phrasing that one side of the firewall may use."""

    greetings: tuple[str, ...]
    owned: tuple[str, ...]
    ordered: tuple[str, ...]
    problems: dict[str, tuple[str, ...]]
    requests: dict[str, tuple[str, ...]]
    also: tuple[str, ...]
    high: tuple[str, ...]
    low: tuple[str, ...]
    implied: tuple[str, ...]
    sarcasm: tuple[str, ...]
    order: tuple[str, ...]
    price: tuple[str, ...]
    phone: tuple[str, ...]
    serial: tuple[str, ...]
    customer: tuple[str, ...]
    second: tuple[str, ...]
    correction: tuple[str, ...]
    fillers: tuple[str, ...]
    intro: tuple[str, ...]
    closings: tuple[str, ...]


def _read_bank(name: str) -> Bank:
    path = Path(__file__).with_name(f"phrasings_{name}.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    banks: dict[str, Any] = {
        key: {k: tuple(v) for k, v in value.items()} if isinstance(value, dict) else tuple(value)
        for key, value in raw.items()
    }
    return Bank(**banks)


TRAIN = _read_bank("train")
EVAL = _read_bank("eval")


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


PRODUCTS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "water": _split_names(
            "espresso machine, kettle, rice cooker, slow cooker, dishwasher, washing machine,"
            "tumble dryer, freezer, fridge, water filter, humidifier, air conditioner, steam iron,"
            "pressure washer, aquarium pump, bottle warmer, radiator, juicer, coffee urn,"
            "water dispenser, towel warmer, steam mop"
        ),
        "electric": _split_names(
            "vacuum cleaner, bread maker, air fryer, blender, toaster, hand mixer, microwave, oven,"
            "hob, extractor hood, fan heater, electric blanket, sewing machine, hair dryer, shaver,"
            "electric toothbrush, alarm clock, radio, loudspeaker, soundbar, projector, monitor,"
            "keyboard, printer, scanner, router, webcam, tablet, power bank, desk lamp, floor lamp,"
            "lawn mower, hedge trimmer, drill, jigsaw, sander, treadmill, baby monitor, doorbell"
        ),
        "plain": _split_names(
            "bookshelf, office chair, garden chair, parasol, ladder, tent, sleeping bag, backpack,"
            "suitcase, bicycle pump, helmet, yoga mat, high chair, pushchair, shoe rack, mirror,"
            "coat stand, kitchen scale, picture frame, ironing board"
        ),
    },
    "dev": {
        "water": _split_names(
            "egg boiler, garment steamer, foot bath, dehumidifier, wine cooler, robot mop,"
            "heat pump, coffee brewer"
        ),
        "electric": _split_names(
            "waffle iron, coffee grinder, ice cream maker, sandwich press, pasta maker,"
            "hair straightener, turntable, e-reader, docking station, smartwatch, string trimmer,"
            "leaf blower, cordless screwdriver, nail gun, rowing machine, night light"
        ),
        "plain": _split_names(
            "bunk bed, wardrobe, car seat, scooter, cool box, bird feeder, rocking horse,"
            "garden bench"
        ),
    },
    "test": {
        "water": _split_names(
            "deep fryer, milk frother, soda maker, pet fountain, window vacuum, ice dispenser,"
            "plant waterer, hot tub"
        ),
        "electric": _split_names(
            "food processor, popcorn machine, raclette grill, mini oven, curling iron, massage gun,"
            "air purifier, record player, game console, label writer, dash cam, chainsaw,"
            "angle grinder, wood splitter, cross trainer, bedside lamp"
        ),
        "plain": _split_names(
            "garden hose, trampoline, sofa bed, mattress, booster seat, skateboard, hammock,"
            "chest of drawers"
        ),
    },
}
"""Product names by split and by what can go wrong with them; pool uses train's."""

SERIES = _split_names(
    "Aldavero, Brimsolt, Corvanta, Estrovane, Fellisand, Gramholt, Jornelda, Merindoc"
)
"""The shop's series, the same in every split: names that customers misspell."""

PROBLEM_KINDS: dict[str, tuple[str, ...]] = {
    "leak": ("water",),
    "no power": ("water", "electric"),
    "noise": ("water", "electric"),
    "overheating": ("water", "electric"),
}
"""Kinds of product that a problem makes sense for; the others befall any."""

NOT_REPAIRED = ("missing part", "late delivery", "wrong item")
"""Problems for which nobody asks for a repair."""

FIRST_NAMES: dict[str, tuple[str, ...]] = {
    "train": _split_names(
        "Marta, Jonas, Priya, Tobias, Elena, Kwame, Sofia, Liam, Noor, Diego, Hana, Viktor, Amara,"
        "Felix, Ingrid, Mateo, Yuki, Omar, Clara, Sven, Leila, Bruno, Aisha, Peter, Greta, Ravi,"
        "Nadia, Oscar, Helga, Tariq, Mina, Pavel, Rosa, Emil, Zara, Hugo, Freya, Anton, Dalia, Ivo,"
        "Grace, Samuel, Lucia, Henrik, Fatima, Andre, Olga, Marco, Judith, Kofi, Astrid, Daniel,"
        "Camila, Boris, Wei, Thomas, Irene, Yusuf, Paula, Martin"
    ),
    "dev": _split_names(
        "Beatriz, Callum, Deepa, Erik, Farah, Gustav, Heidi, Ibrahim, Jana, Klaus, Lorena, Milan,"
        "Nina, Otto, Petra, Quentin, Renata, Stefan, Tamara, Ulrich, Vera, Wanda, Xavier, Yvonne"
    ),
    "test": _split_names(
        "Agnes, Bilal, Carmen, Dominik, Esther, Francois, Gloria, Harald, Isabel, Jakub, Katrin,"
        "Lars, Monica, Nikolai, Olivia, Philip, Rafael, Sabine, Theo, Ursula, Vincent, Walter,"
        "Ximena, Zoltan"
    ),
}
LAST_NAMES: dict[str, tuple[str, ...]] = {
    "train": _split_names(
        "Lindqvist, Okafor, Becker, Marino, Novak, Sato, Haddad, Petrov, Silva, Jensen, Moreau,"
        "Kowalski, Fischer, Rossi, Adeyemi, Larsen, Tanaka, Weber, Costa, Dubois, Horvat, Nilsson,"
        "Ferrari, Khan, Vogel, Molina, Berg, Ito, Romano, Schmidt, Walsh, Brandt, Nkosi, Ortega,"
        "Laurent, Ivanov, Keller, Pereira, Singh, Wagner"
    ),
    "dev": _split_names(
        "Abbott, Bianchi, Castillo, Dvorak, Eriksen, Fontaine, Gruber, Hashimoto, Ibarra, Jovanovic,"
        "Kaplan, Lopes, Mbeki, Neumann, Olsen, Patel, Quinn, Richter, Santos, Tran"
    ),
    "test": _split_names(
        "Aydin, Bakker, Conti, Delgado, Engel, Farkas, Garcia, Hoffmann, Ilves, Jankowski, Kruger,"
        "Lefevre, Mensah, Nowak, Oliveira, Pavlov, Reyes, Sorensen, Takahashi, Urban"
    ),
}
