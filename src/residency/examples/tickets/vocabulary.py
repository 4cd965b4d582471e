"""Words and phrasings of the tickets example, written for it.

Two banks: ``TRAIN`` (used by train and pool) and ``EVAL`` (used by dev and test). No phrasing,
product or person stands in both, so a score on dev cannot come from a remembered sentence.
Dev and test share phrasings but no product and no person.
``{p}`` is a product, ``{a}`` a product with its article, ``{q}`` and ``{b}`` the same for a second
product, ``{n}`` a number or name, ``{w}`` and ``{v}`` a wrong and a right value. ``[one|another]``
is a choice.
"""

from __future__ import annotations

from dataclasses import dataclass

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


WHEN = "[tomorrow|on Saturday|on Sunday|this weekend|in two days|tomorrow morning|on Friday]"
"""Deadlines, the same on both sides of the wall; what happens then differs."""
PRAISE = "[Great|Wonderful|Brilliant|Fantastic|Lovely|Perfect|Bravo|Amazing|Superb|Well done]"
"""How sarcasm opens on both sides of the wall; how it goes on differs."""


TRAIN = Bank(
    greetings=(
        "Hi,",
        "Hello,",
        "Good morning,",
        "Hello there,",
        "Hi support,",
        "Dear team,",
        "",
        "",
        "",
        "",
    ),
    owned=(
        "[I bought|I have|I got] {a} [from you|from your shop|in your shop] and",
        "My {p} [is giving me trouble|is not right|has a problem]:",
        "[Problem|A problem|Difficulties] with my {p}:",
        "We got {a} for the new flat and",
        "[This|My message] is about my {p}:",
        "Since [last week|Monday|two months] I own {a} and",
        "My [husband|wife|sister|boss] gave me {a} and",
        "[Writing|I am writing] about the {p}:",
        "I use {a} every day and now",
        "Our {p} is [quite new|only a month old] but",
        "The {p} [I bought|from your shop]:",
        "We have {a} at home and",
    ),
    ordered=(
        "I ordered {a} [and|online and|last month and]",
        "I am waiting for {a} and",
        "It is about the {p} [I ordered|we ordered]:",
        "We ordered {a} [online|by phone] and",
        "My order was {a} and",
        "I chose {a} on your site and",
        "I paid for {a} and",
        "[Concerning|About] my {p}:",
    ),
    problems={
        "leak": (
            "it leaks all over the [counter|floor|table]",
            "water keeps dripping from the [bottom|back|side]",
            "there is a puddle under it every [morning|day]",
            "it loses water [from the side|all the time]",
            "it drips without end",
            "the seal does not hold and everything gets wet",
            "liquid runs out [underneath|at the back]",
            "it has started leaking",
            "it leaves a wet patch wherever it stands",
            "water comes out where it should not",
            "the [tank|hose|valve] is leaking",
            "it is dripping onto the [shelf|carpet]",
            "it makes the [kitchen|cupboard|floor] wet",
            "I find water [around|below] it",
            "water escapes from the [hose|tank|valve]",
            "I mop up water [around|under] it every day",
            "it is not watertight",
            "the [counter|shelf|carpet] under it is soaked",
            "water seeps out of the [joint|seal|lid]",
            "drops of water fall from it",
            "it leaks whenever I use it",
            "the water runs out of it",
        ),
        "no power": (
            "it does not turn on any more",
            "nothing happens when I press the button",
            "it is completely dead",
            "it will not start",
            "the light stays off and it does nothing",
            "it refuses to switch on",
            "it has no power at all",
            "it went dark and never came back",
            "I plug it in and nothing [moves|happens]",
            "it stopped starting",
            "it does not react to the switch",
            "the display stays black",
            "it [does not run|won't go on] any longer",
            "it gets no electricity",
            "it shows no sign of [life|power]",
            "I press the switch and nothing happens",
            "it can't be switched on",
            "it died [yesterday|after a week]",
            "it does not power up",
            "the [button|switch] has no effect",
            "it won't turn on",
            "it never comes on",
        ),
        "noise": (
            "it makes a [horrible|terrible|strange] grinding noise",
            "it rattles like [crazy|mad]",
            "there is a loud whining sound",
            "it squeaks all the time",
            "it hums so loudly that we cannot [talk|sleep]",
            "it clatters when it runs",
            "it got very loud",
            "it screeches at every start",
            "a strange knocking comes from inside",
            "it is noisier than a truck",
            "it buzzes without a break",
            "the sound it makes is awful",
            "it roars like [a jet|an engine|a motorbike]",
            "it [bangs|thumps|clicks] loudly",
            "it sounds like a [truck|train|helicopter]",
            "it makes a [racket|loud whistle]",
            "it whistles [all day|without end]",
            "the noise keeps us awake",
            "something inside [rattles|grinds|knocks]",
            "it is [far|much] too loud",
            "it vibrates loudly",
            "I hear a [squeal|rattle|buzzing] inside",
        ),
        "overheating": (
            "it gets far too hot",
            "it overheats after [five minutes|a while|ten minutes]",
            "the outside burns my fingers",
            "it smells burnt and is hot to the touch",
            "the plug becomes really hot",
            "it heats up until the plastic bends",
            "it smokes a little and feels hot",
            "it becomes too hot to hold",
            "the motor runs hot quickly",
            "it turns burning hot",
            "the base scorches the table",
            "it is overheating again and again",
            "it stops when it is too warm",
            "the heat of it is [dangerous|not normal]",
            "the [casing|surface|cable] gets very hot",
            "it runs too warm",
            "I burned my [finger|hand] on it",
            "it heats up [too much|like an oven]",
            "it smells of burning",
            "it shuts down when it gets hot",
            "it is boiling hot after a minute",
            "nobody can touch it because of the heat",
        ),
        "broken part": (
            "the [lid|cover|screen] cracked",
            "the [handle|knob|wheel] came off",
            "a piece of [plastic|metal] broke off",
            "the glass has a crack",
            "a hinge snapped",
            "the [knob|lock|lever] broke",
            "one leg is broken",
            "the front panel split in two",
            "the switch broke into pieces",
            "the clip on the back is broken",
            "a tooth of the gear snapped off",
            "the cover is cracked",
            "a [part|corner] of it [is broken|fell off]",
            "the frame is [bent|cracked]",
            "the [button|latch|grip] snapped",
            "the [drawer|door|stand] fell off",
            "there is a crack in the [glass|base|frame]",
            "its [arm|foot|hook] broke",
            "the [blade|spring|plate] shattered",
            "the handle tore off",
            "a hinge is cracked",
            "the [tray|rail] broke in two",
        ),
        "missing part": (
            "the power cable is missing",
            "there was no [lid|cover|plug] in the box",
            "the [screws|batteries|hooks] were not included",
            "one part is missing",
            "the manual and the filter are missing",
            "it came without the second tray",
            "the charger was not in the package",
            "I could not find the [brush|key|strap] in the box",
            "the measuring cup is missing",
            "it arrived without its cable",
            "two of the feet are missing",
            "the adapter was left out",
            "[something|a piece] was missing from the set",
            "the box did not hold all the pieces",
            "[a screw|the basket|the remote] was not in the box",
            "the bag of screws is absent",
            "it lacks [a cable|a lid|the feet]",
            "you forgot to pack the [lid|charger|filter]",
            "there should be a [brush|cover] but there is none",
            "not everything was in the box",
            "the [attachment|cord|plug] was not supplied",
            "parts are missing",
        ),
        "late delivery": (
            "it still has not arrived",
            "the parcel is a week overdue",
            "tracking has not moved for days",
            "nothing has come yet",
            "it should have been here on [Monday|Friday]",
            "the delivery is very late",
            "I am still waiting for the [package|parcel]",
            "the courier never showed up",
            "the promised date has passed",
            "it has been on its way for a month",
            "no parcel has reached me",
            "the shipment is delayed",
            "the parcel got lost [on the way|somewhere]",
            "nobody delivered it",
            "it did not come on [Tuesday|the promised day]",
            "I have been waiting for [weeks|days]",
            "the package is overdue",
            "the driver did not bring it",
            "it got stuck [somewhere|at customs]",
            "the delivery takes too long",
            "after two weeks nothing is here",
            "I cannot see the parcel anywhere",
        ),
        "wrong item": (
            "you sent me the wrong model",
            "this is not what I ordered",
            "the box had something else in it",
            "I got a different colour",
            "a completely different thing came",
            "the wrong product was delivered",
            "you mixed up my order",
            "I received another size",
            "somebody packed the wrong one",
            "what came is not what I picked",
            "the one you delivered is another type",
            "it was the wrong article",
            "it is a different [kind|model] than the one I wanted",
            "it looks nothing like what I chose",
            "you shipped an incorrect one",
            "another product was in the box",
            "it is not the one I selected",
            "you confused my order with another",
            "the parcel contained something else",
            "it does not match the picture",
            "I never asked for [this one|this type]",
            "I was sent the wrong [colour|version|goods]",
        ),
    },
    requests={
        "refund": (
            "I [want|need|would like] my money back.",
            "[Please|Kindly] refund [me|it|the purchase|the price].",
            "I'd like a [full |]refund.",
            "Give me my money back, please.",
            "Please return the money [to my card|to my account].",
            "I [expect|ask for|want] a [full |]refund.",
            "Can I [get|have] my money back?",
            "I would like to be refunded.",
            "A refund is all I want.",
            "I send it back and want the money.",
            "Will I be refunded?",
            "Pay me back, please.",
            "Please cancel it and return my money.",
            "Transfer the [money|price] back, please.",
            "Will you refund me?",
            "I return it and want a refund.",
            "Please reimburse me.",
            "I'd like the amount back.",
            "My money back, please.",
        ),
        "replacement": (
            "Please send [me |]a new one.",
            "I [need|want|would like] a replacement.",
            "Can you [swap|change] it for a [working|new|good] one?",
            "I would like a new one instead.",
            "Please [replace|exchange] it.",
            "Send me another one, please.",
            "I want [it exchanged|another one].",
            "Could you replace it?",
            "A replacement would be fine.",
            "I'd [like|prefer] an exchange.",
            "Can I have a new one?",
            "I hope you exchange it.",
            "Please give me a working one.",
            "Please ship another one.",
            "Would you [swap|change] it?",
            "May I have a [working|different] one?",
            "I hope to get a new one.",
            "Please let me have a [new|fresh] one.",
            "Would you replace it, please?",
            "I am asking for a replacement.",
        ),
        "repair": (
            "Can [someone|anybody|you] [fix|repair] it?",
            "I [want|need] it [repaired|fixed].",
            "Please have it repaired.",
            "Could you [repair|fix] it?",
            "I'd like to have it fixed.",
            "Please send a technician.",
            "I hope [you can fix it|it can be repaired].",
            "A repair would be [enough|fine].",
            "Can I bring it in for repair?",
            "Please [fix|repair] it.",
            "Where can I have it repaired?",
            "I want it to work again.",
            "I would like a repair.",
            "Is a repair possible?",
            "Let someone [repair|fix] it, please.",
            "Would you [fix|repair] it for me?",
            "Can your workshop [mend|fix] it?",
            "Could a [mechanic|technician] look at it?",
            "I'm asking for a repair.",
            "Please get it working again.",
        ),
        "information": (
            "What [should|can|must] I do now?",
            "Can you tell me what [is going on|happened]?",
            "Please let me know the next step.",
            "Can you explain [why|this|it to me]?",
            "I [would like|need] some information.",
            "How can that be?",
            "Please tell me more.",
            "What are my options?",
            "Could you tell me [what to do|the reason]?",
            "I [only|just] want to know [what happened|why].",
            "Is that normal?",
            "Do you know what it is?",
            "Please explain.",
            "Any idea [why|what to do]?",
            "How does this go on?",
            "Please inform me.",
            "Could you give me [details|an explanation]?",
            "I have a question about it: why?",
            "What comes next?",
            "What is the status?",
        ),
        "none": ("",),
    },
    also=(
        "Also:",
        "And also,",
        "Besides that,",
        "In addition,",
        "Plus,",
        "And a question:",
        "One question more:",
        "Also, a question:",
        "And then,",
    ),
    high=(
        "[This is|It is|It's] [very |really |extremely |]urgent[!|.]",
        "I need this [solved|settled|done] immediately.",
        "Urgent, please!",
        "Please hurry[!| up.]",
        "I need [an answer|a reply|a solution] [immediately|at once|right now].",
        "[As fast as possible|As soon as possible|ASAP], please[!|.]",
        "This cannot wait[.| any longer.]",
        "Please [act|react|answer|reply] [at once|immediately|quickly].",
        "High priority [for me.|please!]",
        "Right now, please!",
        "I need help [now|at once|urgently][!|.]",
        "Emergency!",
        "[Be quick|Quickly], please!",
        "Something must happen [immediately|now]!",
        "Do not make me wait!",
        "[Help|Solve it|Settle this] without delay.",
        "Top priority, please.",
        "It must be done right away.",
        "I urgently need [help|an answer].",
        "Please be fast, it is urgent.",
    ),
    low=(
        "No rush[.| at all.]",
        "Whenever you have time.",
        "It is not [urgent|very urgent|that urgent].",
        "Take your time[.|, please.]",
        "There is no [hurry|need to hurry|rush].",
        "It can wait[.| a bit.| a few weeks.]",
        "Any time next month is fine.",
        "Not a priority.",
        "No need to hurry.",
        "Do it when it suits you.",
        "I can wait [a few weeks|a while].",
        "I am patient.",
        "No [stress|pressure].",
        "There is plenty of time.",
        "Low priority.",
        "It does not have to be soon.",
        "I am in no rush.",
        "You need not hurry[.| with this.]",
        "I'm not in a hurry.",
        "This is not pressing.",
        "Time does not matter here.",
        "Whenever it [suits|is convenient].",
        "It may take a [week|month|while].",
        "I have [plenty of|enough] time.",
    ),
    implied=(
        f"My [guests|parents|friends] arrive {WHEN}.",
        f"The birthday party is {WHEN}.",
        f"My [cafe|bakery|salon] opens {WHEN}.",
        f"We move out {WHEN}.",
        f"My [sister|brother|cousin] gets married {WHEN}.",
        f"My wedding is {WHEN}.",
        f"[Twenty|Thirty] children come for lunch {WHEN}.",
        f"I fly to [Rome|Lisbon|Oslo] {WHEN}.",
        f"The landlord comes {WHEN}.",
        f"My shop opens {WHEN}.",
        f"I have to serve forty people {WHEN}.",
        f"My exam is {WHEN}.",
        f"My [concert|interview|journey] is {WHEN}.",
        f"We have visitors {WHEN}.",
        f"The school fair is {WHEN}.",
        f"I need it for the [market|picnic|parade] {WHEN}.",
        f"Our holiday begins {WHEN}.",
        f"My [boss|mother-in-law|aunt] visits us {WHEN}.",
        f"The [inspection|photo shoot|rehearsal] is {WHEN}.",
        f"I start my new job {WHEN}.",
        f"We celebrate grandma's [birthday|anniversary] {WHEN}.",
        f"The baby is due {WHEN}.",
    ),
    sarcasm=(
        f"{PRAISE}, just what I needed.",
        f"{PRAISE}, I love throwing money away.",
        f"{PRAISE}, my favourite hobby is writing complaints.",
        f"{PRAISE}, a true masterpiece.",
        f"{PRAISE}, I had nothing better to do anyway.",
        f"{PRAISE}, exactly how I imagined my [holiday|weekend|day off].",
        f"{PRAISE}, another day with your products.",
        f"{PRAISE}, you should get a prize.",
        f"{PRAISE}, I always wanted to be your tester.",
        f"{PRAISE}, five stars for the comedy.",
        f"{PRAISE}, my compliments to the chef.",
        f"{PRAISE}, who needs things that work.",
        f"{PRAISE}, truly the best service ever.",
        f"{PRAISE}, you made my [week|day|month].",
        f"{PRAISE}, thank you so much for nothing.",
        f"{PRAISE}, I am so impressed.",
        f"{PRAISE}, I could not be happier.",
        f"{PRAISE}, now I can start a museum.",
        f"{PRAISE}, what a bargain.",
        f"{PRAISE}, you are the kings of quality.",
    ),
    order=(
        "My order number is {n}.",
        "[Order|Order no.|Order number] {n}.",
        "(order no. {n})",
        "The order was {n}.",
        "Order number: {n}.",
        "You find it under order {n}.",
        "My order: {n}.",
        "The number of my order is {n}.",
        "It was order {n}.",
        "Order ID {n}.",
        "[The|My] order has the number {n}.",
        "[Ordered|Bought] with order number {n}.",
    ),
    price=(
        "I paid {n}[.| for it.]",
        "It cost [me |]{n}.",
        "The price was {n}.",
        "{n} is [a lot|too much] for this.",
        "I spent {n} on it.",
        "[It was|That was] {n}.",
        "For {n} I expect more.",
        "My bill was {n}.",
    ),
    phone=(
        "[My phone number is|My number is|Phone:] {n}.",
        "[Call|Ring|Phone] me [at|on] {n}.",
        "You can call {n}.",
        "My mobile: {n}.",
        "Telephone {n}.",
    ),
    serial=(
        "[The serial number is|Serial number:|Serial:] {n}.",
        "It has the serial number {n}.",
        "On the back it says serial {n}.",
        "Serial no. {n}.",
    ),
    customer=(
        "[My customer number is|Customer number:|Customer:] {n}.",
        "I am customer [number |no. |]{n}.",
        "My customer ID is {n}.",
        "My account is {n}.",
    ),
    second=(
        "The {q} works fine.",
        "My {q} from you has no problem.",
        "I also have {b} and that one works well.",
        "The {q} I bought with it is fine.",
        "No complaints about the {q}.",
        "With the {q} I am happy.",
        "The {q} runs well.",
        "I like the {q}, only not this.",
        "[The|My] {q} is [fine|all right|good].",
        "The {q} still works.",
        "There is nothing wrong with the {q}.",
        "My {q} is in order.",
    ),
    correction=(
        "{w}, sorry, I meant {v}",
        "{w}, sorry, I mean {v}",
        "{w}, no wait, {v}",
        "{w}, or rather {v}",
        "{w}, correction: {v}",
        "{w}, my mistake, {v}",
        "{w}, scratch that, {v}",
        "{w}, wrong, {v}",
        "{w}, ah no, it is {v}",
        "{w}, sorry, {v}",
        "{w}, I was wrong, it is {v}",
        "{w}, no, {v}",
        "{w}, excuse me, I meant {v}",
    ),
    fillers=(
        "I have been a customer for years.",
        "The manual did not help.",
        "I tried everything.",
        "My [neighbour|brother|cousin] has the same one.",
        "I am quite [disappointed|sad|annoyed].",
        "It was a present.",
        "I read the instructions [twice|again].",
        "A friend recommended your shop.",
        "I cleaned it as described.",
        "It looked good in the picture.",
        "I kept the [box|bill|receipt].",
        "Nobody answered the chat.",
        "It stands in the [kitchen|garage|hall].",
        "I followed every step.",
        "My daughter noticed it first.",
        "The colour is nice at least.",
        "It was on sale.",
        "I hardly used it.",
        "I bought it in [spring|May|autumn].",
        "It worked well before.",
        "I called [once|twice] already.",
        "The shop assistant was kind.",
        "I have never had this before.",
        "It is for my [mother|holiday house|workshop].",
        "We use it at weekends.",
    ),
    intro=("My name is {n}.", "This is {n}.", "{n} here.", "I am {n}."),
    closings=("Regards, {n}", "Thanks, {n}", "Best, {n}", "Yours, {n}", "Best wishes, {n}", "{n}"),
)


EVAL = Bank(
    greetings=("Hey,", "Good evening,", "To whom it may concern,", "Dear support,", "", "", ""),
    owned=(
        "I own {a} of yours and sadly",
        "A few days ago I picked up {a} here and",
        "Something is wrong with our {p},",
        "I need to talk about my {p},",
        "We purchased {a} recently but",
        "Trouble with {a}:",
        "I got myself {a} and",
        "You sold me {a} and",
        "Regarding our {p},",
    ),
    ordered=(
        "A while ago I requested {a} and",
        "I had {a} sent to me and",
        "I purchased {a} through your website, but",
        "There is an issue with the {p} I asked for,",
        "You were going to ship {a} and",
        "We placed an order for {a} and",
    ),
    problems={
        "leak": (
            "water escapes through a gap",
            "I keep mopping up drops beneath it",
            "it wets the whole table",
            "the water does not stay inside",
            "fluid seeps out at the joint",
            "it is not watertight and drips",
            "my cupboard is soaked from it",
            "it leaks as soon as I fill it",
        ),
        "no power": (
            "it won't come on",
            "pushing the switch does absolutely nothing",
            "nothing at all lights up",
            "it can no longer be switched on",
            "it simply died",
            "it stays off and does nothing",
            "it fails to power up",
            "the start button has no effect",
        ),
        "noise": (
            "it sounds like an old truck",
            "it makes a terrible noise",
            "it whistles and rattles nonstop",
            "the noise wakes up the whole house",
            "something inside grinds loudly",
            "it is unbearably loud",
            "it vibrates and bangs",
            "I hear a nasty squeal from it",
        ),
        "overheating": (
            "the casing gets so hot that I cannot touch it",
            "it runs much too warm and smells of burning",
            "it gave me a burn on the palm",
            "it heats itself up far beyond normal",
            "the cable feels very hot",
            "it shuts off because of the heat",
            "it is boiling hot outside",
            "the surface overheats badly",
        ),
        "broken part": (
            "the door fell off its hinge",
            "the button snapped off",
            "its stand is cracked",
            "one of the blades broke",
            "the drawer shattered",
            "there is a big crack in the housing",
            "the latch has broken",
            "the grip came off",
        ),
        "missing part": (
            "the lid that belongs to it is missing",
            "not all parts were in there",
            "the bag with bolts is missing",
            "it lacks the cord",
            "there should be a basket but there is none",
            "somebody forgot to pack the plug",
            "the attachment never came with it",
            "its remote was not supplied",
        ),
        "late delivery": (
            "after three weeks nothing has arrived",
            "the package has not come so far",
            "it did not come on the agreed day",
            "the driver has not brought it so far",
            "your delivery takes forever",
            "it is long overdue",
            "the parcel got stuck in the depot",
            "I have been waiting for ages to get it",
        ),
        "wrong item": (
            "someone shipped me the wrong version",
            "another article was inside",
            "I unpacked a thing that I never ordered",
            "it is not the one from the picture",
            "you confused it with a different model",
            "the parcel contained the wrong goods",
            "I was given a different colour",
            "it does not match what I selected",
        ),
    },
    requests={
        "refund": (
            "Transfer the money back to me, please.",
            "Kindly give me a full refund.",
            "Reimburse me, please.",
            "Money back would be right.",
            "Will you refund the money?",
            "I'm returning it and want my money.",
        ),
        "replacement": (
            "Please ship me a new one.",
            "Would you exchange it for another one?",
            "I hope to receive a new one.",
            "Let me have a different one that works.",
            "May I get a replacement?",
            "Replacing it would make me happy.",
        ),
        "repair": (
            "Is it possible to repair it?",
            "Let somebody come and repair this.",
            "Could your workshop fix it?",
            "I'm hoping for a repair.",
            "Would a technician fix this for me?",
            "Get it working again, please.",
        ),
        "information": (
            "Any idea what happened?",
            "What do I have to do next?",
            "Please inform me about the status.",
            "Could I have an explanation?",
            "Give me some information, please.",
            "I have a question: what comes next?",
        ),
        "none": ("",),
    },
    also=(
        "Also,",
        "And another question:",
        "Besides,",
        "And in addition,",
        "One more question:",
    ),
    high=(
        "It's urgent, so please be quick.",
        "Answer me immediately, please!",
        "I need your help urgently.",
        "Without delay, please!",
        "It must be settled immediately.",
        "Quick, please, top priority.",
        "Deal with this right away.",
        "I ask you to hurry.",
    ),
    low=(
        "I'm in no hurry.",
        "This isn't urgent.",
        "Just whenever you have a moment.",
        "Please take all the time you need.",
        "Time is not an issue.",
        "It's fine if it takes a while.",
        "There's no rush with it.",
        "I can wait, no problem.",
    ),
    implied=(
        f"My son's party starts {WHEN}.",
        f"Our restaurant opens again {WHEN}.",
        f"We leave for the airport {WHEN}.",
        f"Our anniversary dinner is {WHEN}.",
        f"Fifty people expect breakfast {WHEN}.",
        f"I have to hand over the flat {WHEN}.",
        f"The christening is {WHEN}.",
        f"My grandparents come to stay {WHEN}.",
        f"My daughter's graduation is {WHEN}.",
        f"The village festival takes place {WHEN}.",
        f"I move to another city {WHEN}.",
        f"The hotel inspector is here {WHEN}.",
    ),
    sarcasm=(
        f"{PRAISE}, I am deeply moved by such care.",
        f"{PRAISE}, the highlight of my year.",
        f"{PRAISE}, what luck I have.",
        f"{PRAISE}, please keep it up.",
        f"{PRAISE}, nobody does it worse.",
        f"{PRAISE}, I feel so valued.",
        f"{PRAISE}, I adore wasting my evenings.",
        f"{PRAISE}, my warmest thanks for this adventure.",
        f"{PRAISE}, I laughed all night.",
        f"{PRAISE}, a dream come true.",
        f"{PRAISE}, that is quality for you.",
        f"{PRAISE}, I shall tell everybody.",
    ),
    order=(
        "The order in question: {n}.",
        "I ordered under {n}.",
        "Reference for the order: {n}.",
        "Ordered as no. {n}.",
        "See order {n} please.",
        "Order code {n}.",
        "It belongs to my order {n}.",
    ),
    price=(
        "I paid [as much as|all of] {n} for that.",
        "All that for {n}?",
        "It cost us {n}.",
        "My order cost {n}.",
        "I spent {n} here.",
        "The bill says {n}.",
        "At a price of {n} one may expect better.",
    ),
    phone=(
        "Reach me by phone: {n}.",
        "My mobile number is {n}.",
        "Please call me: {n}.",
        "Tel. {n}.",
    ),
    serial=(
        "Underneath stands serial {n}.",
        "Its serial number reads {n}.",
        "The serial no. is {n}.",
    ),
    customer=(
        "You know me as customer {n}.",
        "Customer ID {n}.",
        "Customer account {n}.",
    ),
    second=(
        "Nothing is wrong with my {q}.",
        "Our {q} still works well.",
        "The {q} that came too is fine.",
        "I've got {b} as well, which works.",
        "At least the {q} runs fine.",
        "The {q} on the other hand is good.",
        "I have no problem with the {q}.",
    ),
    correction=(
        "{w}, no sorry, I meant {v}",
        "{w}, oops, I mean {v}",
        "{w}, sorry, wrong, {v}",
        "{w}, no, actually {v}",
        "{w}, wait, correction: {v}",
        "{w}, sorry, it should be {v}",
        "{w}, no, my mistake, {v}",
    ),
    fillers=(
        "I looked into the guide already.",
        "The delivery man was friendly.",
        "I've trusted you so far.",
        "Even my uncle could not help.",
        "It is rather sad.",
        "I took photos.",
        "The packaging seemed fine.",
        "Your hotline was busy.",
        "I've used it gently.",
        "We unplugged it twice.",
        "It's for our office.",
        "I had high hopes.",
    ),
    intro=(
        "{n} is my name.",
        "I'm {n}.",
        "You are talking to {n}.",
    ),
    closings=("Sincerely, {n}", "Kind regards, {n}", "Cheers, {n}", "Many thanks, {n}", "— {n}"),
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


PRODUCTS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "water": _names(
            "espresso machine, kettle, rice cooker, slow cooker, dishwasher, washing machine,"
            "tumble dryer, freezer, fridge, water filter, humidifier, air conditioner, steam iron,"
            "pressure washer, aquarium pump, bottle warmer, radiator, juicer, coffee urn,"
            "water dispenser, towel warmer, steam mop"
        ),
        "electric": _names(
            "vacuum cleaner, bread maker, air fryer, blender, toaster, hand mixer, microwave, oven,"
            "hob, extractor hood, fan heater, electric blanket, sewing machine, hair dryer, shaver,"
            "electric toothbrush, alarm clock, radio, loudspeaker, soundbar, projector, monitor,"
            "keyboard, printer, scanner, router, webcam, tablet, power bank, desk lamp, floor lamp,"
            "lawn mower, hedge trimmer, drill, jigsaw, sander, treadmill, baby monitor, doorbell"
        ),
        "plain": _names(
            "bookshelf, office chair, garden chair, parasol, ladder, tent, sleeping bag, backpack,"
            "suitcase, bicycle pump, helmet, yoga mat, high chair, pushchair, shoe rack, mirror,"
            "coat stand, kitchen scale, picture frame, ironing board"
        ),
    },
    "dev": {
        "water": _names(
            "egg boiler, garment steamer, foot bath, dehumidifier, wine cooler, robot mop,"
            "heat pump, coffee brewer"
        ),
        "electric": _names(
            "waffle iron, coffee grinder, ice cream maker, sandwich press, pasta maker,"
            "hair straightener, turntable, e-reader, docking station, smartwatch, string trimmer,"
            "leaf blower, cordless screwdriver, nail gun, rowing machine, night light"
        ),
        "plain": _names(
            "bunk bed, wardrobe, car seat, scooter, cool box, bird feeder, rocking horse,"
            "garden bench"
        ),
    },
    "test": {
        "water": _names(
            "deep fryer, milk frother, soda maker, pet fountain, window vacuum, ice dispenser,"
            "plant waterer, hot tub"
        ),
        "electric": _names(
            "food processor, popcorn machine, raclette grill, mini oven, curling iron, massage gun,"
            "air purifier, record player, game console, label writer, dash cam, chainsaw,"
            "angle grinder, wood splitter, cross trainer, bedside lamp"
        ),
        "plain": _names(
            "garden hose, trampoline, sofa bed, mattress, booster seat, skateboard, hammock,"
            "chest of drawers"
        ),
    },
}
"""Product names by split and by what can go wrong with them; pool uses train's."""

SERIES = _names("Aldavero, Brimsolt, Corvanta, Estrovane, Fellisand, Gramholt, Jornelda, Merindoc")
"""The shop's own series, the same in every split: names that customers misspell."""

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
    "train": _names(
        "Marta, Jonas, Priya, Tobias, Elena, Kwame, Sofia, Liam, Noor, Diego, Hana, Viktor, Amara,"
        "Felix, Ingrid, Mateo, Yuki, Omar, Clara, Sven, Leila, Bruno, Aisha, Peter, Greta, Ravi,"
        "Nadia, Oscar, Helga, Tariq, Mina, Pavel, Rosa, Emil, Zara, Hugo, Freya, Anton, Dalia, Ivo,"
        "Grace, Samuel, Lucia, Henrik, Fatima, Andre, Olga, Marco, Judith, Kofi, Astrid, Daniel,"
        "Camila, Boris, Wei, Thomas, Irene, Yusuf, Paula, Martin"
    ),
    "dev": _names(
        "Beatriz, Callum, Deepa, Erik, Farah, Gustav, Heidi, Ibrahim, Jana, Klaus, Lorena, Milan,"
        "Nina, Otto, Petra, Quentin, Renata, Stefan, Tamara, Ulrich, Vera, Wanda, Xavier, Yvonne"
    ),
    "test": _names(
        "Agnes, Bilal, Carmen, Dominik, Esther, Francois, Gloria, Harald, Isabel, Jakub, Katrin,"
        "Lars, Monica, Nikolai, Olivia, Philip, Rafael, Sabine, Theo, Ursula, Vincent, Walter,"
        "Ximena, Zoltan"
    ),
}
LAST_NAMES: dict[str, tuple[str, ...]] = {
    "train": _names(
        "Lindqvist, Okafor, Becker, Marino, Novak, Sato, Haddad, Petrov, Silva, Jensen, Moreau,"
        "Kowalski, Fischer, Rossi, Adeyemi, Larsen, Tanaka, Weber, Costa, Dubois, Horvat, Nilsson,"
        "Ferrari, Khan, Vogel, Molina, Berg, Ito, Romano, Schmidt, Walsh, Brandt, Nkosi, Ortega,"
        "Laurent, Ivanov, Keller, Pereira, Singh, Wagner"
    ),
    "dev": _names(
        "Abbott, Bianchi, Castillo, Dvorak, Eriksen, Fontaine, Gruber, Hashimoto, Ibarra, Jovanovic,"
        "Kaplan, Lopes, Mbeki, Neumann, Olsen, Patel, Quinn, Richter, Santos, Tran"
    ),
    "test": _names(
        "Aydin, Bakker, Conti, Delgado, Engel, Farkas, Garcia, Hoffmann, Ilves, Jankowski, Kruger,"
        "Lefevre, Mensah, Nowak, Oliveira, Pavlov, Reyes, Sorensen, Takahashi, Urban"
    ),
}
