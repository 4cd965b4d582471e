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
    model: tuple[str, ...]
    serial: tuple[str, ...]
    customer: tuple[str, ...]
    second: tuple[str, ...]
    correction: tuple[str, ...]
    fillers: tuple[str, ...]
    intro: tuple[str, ...]
    closings: tuple[str, ...]


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
        ),
        "none": ("",),
    },
    also=(
        "[Also|And also]:",
        "And one more thing:",
        "Besides that,",
        "On top of [it|that]:",
        "In addition:",
        "Plus,",
        "Apart from that,",
        "[And|And then]",
        "Second:",
    ),
    high=(
        "[This is|It is|It's] [very |really |extremely |]urgent[!|.]",
        "I need this [solved|settled|done] [today|tonight].",
        "Urgent, please!",
        "Please hurry[!| up.]",
        "I need [an answer|a reply|a solution] immediately.",
        "[As fast as possible|As soon as possible|ASAP], please[!|.]",
        "This cannot wait[.| any longer.]",
        "Please [act|react|answer|reply] [at once|immediately|today].",
        "High priority [for me.|please!]",
        "Right now, please!",
        "I need help now[!|.]",
        "Emergency!",
        "[Be quick|Quickly], please!",
        "Something must happen [today|now]!",
        "Do not make me wait!",
    ),
    low=(
        "No rush[.| at all.]",
        "Whenever you have time.",
        "It is not [urgent|very urgent|that urgent].",
        "Take your time[.|, please.]",
        "There is no [hurry|need to hurry|rush].",
        "It can wait[.| a bit.| until next week.]",
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
    ),
    implied=(
        "My [guests|parents|friends] [arrive|come] tomorrow [morning|evening].",
        "The birthday party is [tonight|tomorrow|in two days].",
        "I cannot feed my [baby|cat] without it.",
        "My [cafe|bakery|salon] has to stay closed until it works.",
        "We move out [on Friday|tomorrow|next week].",
        "My wedding is [this weekend|on Saturday].",
        "[Twenty|Thirty] children come for lunch tomorrow.",
        "I lose [customers|money] every hour.",
        "My [father|husband|daughter] is ill and depends on it.",
        "The flat is getting cold and we have a newborn.",
        "I fly in two [days|hours].",
        "The food in the freezer is going bad.",
        "The landlord comes [tomorrow|tonight] to check the floor.",
        "My shop opens [tomorrow|in three days].",
        "I have no way to [cook|wash] for my family [tonight|today].",
        "Water is reaching the neighbours below.",
        "The wedding cake is due [tomorrow|tonight].",
        "Without it grandma cannot take her medicine.",
        "I have to serve forty people [tomorrow|tonight].",
        "My exam is tomorrow and I depend on it.",
        "My [concert|interview|journey] is tomorrow.",
        "The children have no [warm meal|clean clothes] left.",
        "[The whole office|My team] cannot work now.",
        "We have had no [hot water|heating] since Sunday.",
    ),
    sarcasm=(
        "[Great|Super|Excellent] [job|work], really.",
        "[Wonderful|Lovely|Perfect], just what I needed.",
        "What a [lovely|nice|beautiful] surprise.",
        "Well done, truly the best service ever.",
        "Congratulations, you made my [week|day|month].",
        "Thank you so much for nothing.",
        "[Brilliant|Amazing|Superb] quality, I am so impressed.",
        "How nice, I love throwing money away.",
        "[Fantastic|Great], my favourite hobby is writing complaints.",
        "[Bravo|Hooray], a true masterpiece.",
        "Lovely, I had nothing better to do anyway.",
        "[Perfect|Great], exactly how I imagined my [holiday|weekend|day off].",
        "Oh [joy|happy day], another day with your products.",
        "[Amazing|Marvellous] engineering, you should get a prize.",
        "Super, now I can start a museum of broken dreams.",
        "Marvellous, I always wanted to be your tester.",
        "[Excellent|Magnificent], five stars for the comedy.",
        "Splendid work, my compliments to the chef.",
        "What a treat, I could not be happier.",
        "Sure, because who needs things that work.",
        "I am [thrilled|delighted|so proud], what a [bargain|success].",
        "You [really|truly] are the kings of quality.",
        "[Thanks a lot|Many thanks], I always dreamed of this.",
        "Just great, I love surprises like that.",
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
        "I paid {n} for it.",
        "It cost {n}.",
        "The price was {n}.",
        "{n} is a lot of money.",
        "I spent {n} on it.",
        "For {n} I expected more.",
        "The whole order was {n}.",
        "It was not cheap at {n}.",
        "My order cost {n}.",
        "And that for {n}!",
    ),
    phone=(
        "My phone number is {n}.",
        "Call me on {n}.",
        "You can ring me at {n}.",
        "Phone: {n}.",
        "I am reachable on {n}.",
    ),
    model=(
        "It is the model {n}.",
        "Model number {n}.",
        "The type is {n}.",
        "Model: {n}.",
        "The label says model {n}.",
    ),
    serial=(
        "The serial number is {n}.",
        "Serial no. {n}.",
        "Serial: {n}.",
        "On the back it says serial {n}.",
    ),
    customer=(
        "My customer number is {n}.",
        "Customer no. {n}.",
        "My client number: {n}.",
        "I am customer {n}.",
    ),
    second=(
        "The {q} works fine.",
        "My {q} from you has no problem.",
        "I also have {b} and that one is great.",
        "The {q} I bought with it is perfect.",
        "By the way, the {q} is still good.",
        "No complaints about the {q}.",
        "With the {q} I am very happy.",
        "The {q} came along and runs well.",
        "I like the {q}, only not this.",
        "Unlike the {q}, which is good.",
        "[The|My] {q} is [fine|perfect|all right].",
    ),
    correction=(
        "{w}, sorry, I meant {v}",
        "{w}, no wait, {v}",
        "{w}, or rather {v}",
        "{w}, correction: {v}",
        "{w}, my mistake, {v}",
        "{w}, scratch that, {v}",
        "{w}, excuse me, {v}",
        "{w}, wrong, {v}",
        "{w}, ah no, it is {v}",
        "{w}, sorry, {v}",
        "{w}, I was wrong, {v}",
        "{w}, not that, {v}",
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
            "it shows no sign of life",
            "it can no longer be switched on",
            "it simply died",
            "there is no current and it stays off",
            "it fails to power up",
            "the start button has no effect",
        ),
        "noise": (
            "it sounds like an old tractor",
            "it makes a terrible racket",
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
            "I nearly burned my hand on it",
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
            "the grip tore off",
        ),
        "missing part": (
            "I miss the lid that belongs to it",
            "not all parts were in there",
            "the bag with bolts was absent",
            "it lacks the cord",
            "there should be a basket but there is none",
            "somebody forgot to pack the plug",
            "the attachment never came with it",
            "its remote was not supplied",
        ),
        "late delivery": (
            "after three weeks I have nothing in my hands",
            "the package is nowhere to be seen",
            "it did not come on the agreed day",
            "the driver has not brought it so far",
            "your delivery takes forever",
            "it is long overdue",
            "it got stuck in the depot",
            "I have been waiting for ages to get it",
        ),
        "wrong item": (
            "someone shipped me an incorrect version",
            "another article was inside",
            "I unpacked a thing that I never asked for",
            "it is not the one from the picture",
            "you confused it with a different model",
            "the parcel contained the wrong goods",
            "I was given a false colour",
            "it does not match what I selected",
        ),
    },
    requests={
        "refund": (
            "Transfer the amount back to me, please.",
            "I am asking for a refund.",
            "Reimburse me, please.",
            "Money back would be right.",
            "Will you pay me back?",
            "I'm returning it for my money.",
        ),
        "replacement": (
            "Please ship me a fresh unit.",
            "Would you exchange it?",
            "I hope to receive a new unit.",
            "Let me have a different one that works.",
            "May I get a substitute?",
            "Replacing it would make me happy.",
        ),
        "repair": (
            "Is it possible to mend it?",
            "Let somebody come and repair this.",
            "Could your workshop look after it?",
            "I'm hoping for a repair.",
            "Would a mechanic fix this for me?",
            "Get it working again, please.",
        ),
        "information": (
            "Any idea what that means?",
            "How do I go on from here?",
            "Please inform me about the status.",
            "Could I have an explanation?",
            "Give me some details, please.",
            "I have a question: what comes next?",
        ),
        "none": ("",),
    },
    also=("Furthermore,", "And secondly:", "At the same time:", "One thing more:", "Moreover,"),
    high=(
        "Speed matters, it's urgent.",
        "Answer me today, please!",
        "I need help urgently.",
        "Without delay, please!",
        "It must be settled immediately.",
        "Quick, please, top priority.",
        "Deal with this right away.",
    ),
    low=(
        "I'm in no hurry.",
        "This isn't pressing.",
        "Just when you get round to it.",
        "Answer at your leisure.",
        "Time is not an issue.",
        "It's fine if it takes a while.",
    ),
    implied=(
        "Visitors are coming over this evening.",
        "My son's party starts in a few hours.",
        "My restaurant stands still because of that.",
        "The twins have nothing warm to drink.",
        "Tomorrow we leave for the airport.",
        "Our anniversary dinner is tonight.",
        "My business is losing money by the minute.",
        "My sick mother relies on it.",
        "The ceiling below is already getting wet.",
        "Fifty people expect breakfast on Sunday.",
        "I have to hand over the flat tomorrow.",
        "All our frozen food is melting.",
        "Our christening is the day after tomorrow.",
        "I cannot heat milk for the little one.",
    ),
    sarcasm=(
        "Bravo, I am deeply moved by such care.",
        "Oh, how delightful.",
        "Terrific, the highlight of my year.",
        "Really, outstanding workmanship.",
        "I am overjoyed, what luck I have.",
        "Applause for your quality control.",
        "Such fun, please keep it up.",
        "Hats off, nobody does it worse.",
        "Wow, I feel so valued.",
        "Truly a dream come true.",
        "Great, I adore wasting my evenings.",
        "My warmest thanks for this adventure.",
        "Genius, who would want it working.",
        "Wonderful entertainment, I laughed all night.",
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
        "I was charged {n}.",
        "All that for {n}?",
        "It set me back {n}.",
        "My order came to {n}.",
        "{n} gone for nothing.",
        "The bill for the order says {n}.",
        "At {n} one may expect better.",
    ),
    phone=(
        "Reach me by telephone: {n}.",
        "My mobile is {n}.",
        "Give me a call: {n}.",
        "Tel. {n}.",
    ),
    model=(
        "The device is a {n}.",
        "It's called {n} on the label.",
        "Version {n}.",
        "We have type {n}.",
    ),
    serial=(
        "Underneath stands serial {n}.",
        "S/N {n}.",
        "Its serial reads {n}.",
    ),
    customer=(
        "You know me as customer {n}.",
        "Client ID {n}.",
        "Customer account {n}.",
    ),
    second=(
        "Nothing wrong with the {q} though.",
        "Our {q} does its job nicely.",
        "The {q} that came too is flawless.",
        "I've got {b} as well, which I love.",
        "At least the {q} runs smoothly.",
        "The {q} on the other hand is excellent.",
        "I have no issue with my {q}.",
    ),
    correction=(
        "{w}, I mean {v}",
        "{w}, oops, {v}",
        "{w}, pardon, {v}",
        "{w}, no, actually {v}",
        "{w}, let me correct that: {v}",
        "{w}, sorry, it should be {v}",
        "{w}, hold on, {v}",
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
