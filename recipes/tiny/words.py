"""Word lists of the generated text: modern things, people, places, and made-up names.

Made-up names and codes come from syllables and random characters, so that a model cannot know
them by heart: to write one again it must copy it from earlier in the text.
"""

# ruff: noqa: SIM905 (a split string is how a long list of words stays readable)
from __future__ import annotations

import random

FIRST = (
    "Adela Adnan Agnes Ahmed Aiko Akira Alba Alec Alina Amir Ana Andre Anika Anouk Arjun Arlo Astrid "
    "Beatriz Ben Bianca Boris Bridget Callum Carla Carmen Cedric Chen Chiara Chloe Conor Cyrus Dana "
    "Daniel Dario Deepa Denise Dilan Dmitri Dora Edith Eduardo Eleni Elias Elif Ella Emre Enzo Erik "
    "Esther Ethan Eva Fadi Farah Fatima Fiona Florian Frank Gabriel Gemma Georg Gita Grace Gustav "
    "Hamid Hannah Harold Hassan Heidi Helena Henrik Hiroshi Ibrahim Ida Igor Imani Ines Isaac Isla "
    "Ivan Jack Jamal Jana Janek Jasmin Jens Joana Joel Jorge Josef Judith Jun Kaito Karim Karin Kasia "
    "Katya Kenji Kevin Kofi Lara Lars Laszlo Layla Lena Leo Lidia Linh Lorenzo Louis Lucia Luka Lydia "
    "Maya Malik Marcus Margot Maria Martin Matilda Max Mehmet Mei Melissa Mia Mikael Milos Miriam Mona "
    "Nasser Natalia Nathan Nikhil Nikolai Nina Nuno Olga Olivia Oluchi Oskar Otto Pablo Paula Pedro "
    "Petra Philip Pia Quentin Rachel Rafael Rahul Ramon Rania Raul Rebecca Remy Rita Robert Robin Rohan "
    "Roman Ruben Ruth Sabine Saeed Salma Samuel Sandra Sanjay Sara Selma Sergei Shreya Simon Sonja "
    "Stefan Sunita Susan Taro Teresa Theo Thomas Tina Tomas Uma Ursula Valentina Vera Victor Wanda Wei "
    "William Xavier Yara Yasmin Yusuf Zainab Zoe"
).split()
LAST = (
    "Abbott Acosta Adler Ahmad Alvarez Andersen Aoki Arnold Baker Banerjee Barros Bauer Bell Bianchi "
    "Bjork Blanc Bognar Brandt Bruno Cabrera Campos Carter Chandra Chavez Cohen Cooper Cruz Dahl Danso "
    "Delgado Demir Diaz Dietrich Dogan Duarte Egger Ekström Eriksen Evans Farouk Fernandes Fleming "
    "Fontana Foster Fraser Fuentes Garcia Ghosh Gomez Gruber Gupta Haas Hansen Harris Hassan Hayashi "
    "Hernandez Hoffmann Holm Hughes Ibarra Ivanov Jansen Johnson Joshi Kaplan Kaya Keller Kelly Kim "
    "Klein Koch Kovacs Kruger Kumar Lambert Lange Leclerc Lee Lehmann Lopez Lund Maier Mancini Marsh "
    "Martinez Mbeki Mehta Mendes Meyer Moller Morales Morris Nagy Nakamura Navarro Nguyen Nowak Obi "
    "Olsen Ortiz Owusu Park Patel Pereira Perez Phillips Pinto Popov Price Quinn Rahman Ramos Reddy "
    "Reyes Richter Rivera Roberts Ruiz Saito Salazar Sanchez Santos Schulz Sharma Shaw Singh Smith "
    "Soares Stein Suzuki Svensson Takahashi Taylor Torres Turner Usman Vargas Vasquez Vega Wagner Walker "
    "Wang Watson Werner Winter Wolf Wong Wright Yamada Yilmaz Zhang Zimmermann"
).split()
CITIES = (
    "Aberdeen Accra Aarhus Antwerp Athens Austin Bangkok Basel Bergen Berlin Bilbao Bogota Boston Bristol "
    "Brno Cairo Calgary Cardiff Chennai Chicago Cologne Dakar Delhi Denver Dublin Durban Florence Geneva "
    "Genoa Ghent Graz Hamburg Hanoi Helsinki Houston Istanbul Kyoto Lagos Leeds Lima Lisbon Ljubljana Lyon "
    "Madrid Malmo Manila Melbourne Milan Montreal Mumbai Munich Nairobi Naples Nice Osaka Oslo Oxford "
    "Palermo Paris Perth Porto Prague Quito Riga Rome Rotterdam Salzburg Seoul Seville Shanghai Sofia "
    "Stockholm Sydney Tallinn Tampere Toronto Toulouse Trieste Turin Utrecht Valencia Vienna Vilnius Warsaw "
    "York Zagreb Zurich"
).split()
THINGS = (
    (
        "phone charger, laptop, tablet, camera, headphones, smart watch, speaker, monitor, keyboard, printer, "
        "router, power bank, game console, memory card, desk lamp, ceiling fan, heater, washing machine, fridge, "
        "microwave, oven, freezer, electric kettle, toaster oven, coffee maker, milk frother, water filter, "
        "frying pan, knife set, lunch box, thermos, backpack, suitcase, umbrella, raincoat, running shoes, "
        "hiking boots, sunglasses, scarf, gloves, helmet, bicycle, scooter, skateboard, tent, sleeping bag, "
        "yoga mat, tennis racket, football, guitar, violin, piano stool, notebook, fountain pen, calculator, "
        "globe, microscope, telescope, drill, ladder, toolbox, hammer, saw, paint roller, garden hose, lawn "
        "mower, flower pot, bird feeder, dog leash, cat bed, aquarium, baby monitor, stroller, car seat, crib, "
        "puzzle, board game, teddy bear, doll house, bookshelf, sofa, armchair, mattress, pillow, blanket, "
        "curtain, carpet, mirror, wall clock, candle, picture frame, shower head, towel, hair dryer, razor, "
        "toothbrush, first aid kit, thermometer, air purifier, humidifier, doorbell, smoke alarm, door lock, "
        "light bulb, extension cord, screen protector, phone case, headset, microphone, webcam, projector, "
        "hard drive, scanner, cash register, label maker, vending machine, wheelchair, hearing aid, treadmill, "
        "rowing machine, electric blanket, sewing machine, iron, ironing board, vacuum, mop, bucket, dustbin"
    )
    .replace("\n", " ")
    .split(", ")
)
COLOURS = (
    "red blue green black white grey yellow orange purple brown silver pink beige navy teal".split()
)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
PLAIN = (
    "account address age agenda airport alarm amount answer apartment app area arrival article bank basket "
    "battery bill board booking bottle box branch breakfast budget building bus button cable call card case "
    "centre chair change charge check city class client clinic clock club coast code colour company computer "
    "concert contract copy corner cost count course cover credit customer data date deal delay delivery "
    "department deposit desk detail device dinner direction discount display doctor document door download "
    "driver email energy engine entrance error evening event exam example exit factory family farm fee field "
    "file film flight floor folder forecast form format friend garage garden gate glass goal group guest hall "
    "help holiday hospital hotel hour house idea image island item job journey key kitchen lab language letter "
    "level library licence light line link list lunch machine market match meal meeting member memory menu "
    "message meter method minute mistake model month morning museum music name network news night note number "
    "office offer online order page parcel park part party passport password payment people percent photo "
    "piece place plan plant plate platform player point pool post power price prize problem profile program "
    "project question queue rain rate reason receipt record refund region repair report request rest result "
    "return review river road roof room route rule sale sample school score screen season seat section "
    "service shelf shift shop sign signal size software song space sport staff stage star start station step "
    "stop store storm street student study summer support surface survey system table tax taxi team test text "
    "ticket time tool total tour town track traffic train travel tree trip truck update user value version "
    "video village visit voice wall water weather website week weekend wheel wifi window winter word work "
    "year zone"
).split()
_ONSET = "b br c ch d dr f g gr h j k kl l m n p pr r s sh st t tr v w z".split()
_VOWEL = "a e i o u ai ea ei io ou".split()
_CODA = ["", "", "", "l", "n", "r", "s", "t", "m", "nd", "rk", "x"]
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def made_up(rng: random.Random, low: int = 2, high: int = 3) -> str:
    """A word nobody has seen, of ``low`` to ``high`` syllables, capitalised."""
    syllables = [
        rng.choice(_ONSET) + rng.choice(_VOWEL) + rng.choice(_CODA)
        for _ in range(rng.randint(low, high))
    ]
    return "".join(syllables).capitalize()


def first(rng: random.Random) -> str:
    """A first name, one in four made up."""
    return rng.choice(FIRST) if rng.random() < 0.75 else made_up(rng, 1, 2)


def last(rng: random.Random) -> str:
    """A family name, two in five made up."""
    return rng.choice(LAST) if rng.random() < 0.6 else made_up(rng)


def person(rng: random.Random) -> str:
    """First and family name."""
    return f"{first(rng)} {last(rng)}"


def place(rng: random.Random) -> str:
    """A town."""
    return rng.choice(CITIES) if rng.random() < 0.6 else made_up(rng)


def thing(rng: random.Random) -> str:
    """Something that can be bought, lost or lent."""
    return rng.choice(THINGS)


def digits(rng: random.Random, low: int, high: int) -> str:
    """A number of ``low`` to ``high`` digits."""
    n = rng.randint(low, high)
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(n - 1))


def letters(rng: random.Random, n: int) -> str:
    """Capital letters."""
    return "".join(rng.choice(_LETTERS) for _ in range(n))


def code(rng: random.Random) -> str:
    """A reference of one of many shapes."""
    shape = rng.randrange(9)
    if shape == 0:
        return f"{letters(rng, rng.randint(1, 3))}-{digits(rng, 3, 6)}"
    if shape == 1:
        return digits(rng, 4, 9)
    if shape == 2:
        return f"{letters(rng, rng.randint(2, 4))}{digits(rng, 2, 6)}"
    if shape == 3:
        return f"{digits(rng, 2, 4)}-{digits(rng, 2, 4)}"
    if shape == 4:
        return f"{digits(rng, 2, 3)}/{letters(rng, 1)}{digits(rng, 2, 4)}"
    if shape == 5:
        return f"#{digits(rng, 3, 7)}"
    if shape == 6:
        return f"{letters(rng, 2)}-{digits(rng, 2, 3)}-{letters(rng, 2)}"
    if shape == 7:
        return f"{digits(rng, 3, 5)}{letters(rng, 1)}"
    return f"{letters(rng, 1)}{digits(rng, 1, 3)}.{digits(rng, 2, 3)}"


def date(rng: random.Random) -> str:
    """A day of the year in one of several forms."""
    day, month = rng.randint(1, 28), rng.randrange(12)
    shape = rng.randrange(4)
    if shape == 0:
        return f"{day} {MONTHS[month]}"
    if shape == 1:
        return f"{MONTHS[month]} {day}"
    if shape == 2:
        return f"{rng.randint(2015, 2029)}-{month + 1:02d}-{day:02d}"
    return rng.choice(DAYS)


def clock(rng: random.Random) -> str:
    """A time of day."""
    if rng.random() < 0.7:
        return (
            f"{rng.randint(0, 23)}:{rng.choice(['00', '15', '30', '45', '10', '20', '40', '50'])}"
        )
    return f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}"


def price(rng: random.Random) -> str:
    """An amount of money."""
    amount = digits(rng, 1, 4)
    shape = rng.randrange(4)
    if shape == 0:
        return f"{amount} euros"
    if shape == 1:
        return f"${amount}"
    if shape == 2:
        return f"{amount}.{rng.randint(0, 99):02d} EUR"
    return f"{amount} dollars"


def phone(rng: random.Random) -> str:
    """A telephone number."""
    return f"0{digits(rng, 2, 3)} {digits(rng, 3, 4)} {digits(rng, 2, 4)}"


def email(rng: random.Random, name: str) -> str:
    """An address under a domain reserved for examples."""
    parts = name.lower().split()
    return f"{rng.choice(['.', '_', '']).join(parts)}@{rng.choice(['example.com', 'example.org', 'example.net'])}"
