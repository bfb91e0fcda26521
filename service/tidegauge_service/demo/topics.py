"""What people write about in the demo: sentences, and how each topic's records look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from tidegauge_service.demo.words import WORDS

Label = Literal["spam", "ham"]
Part = str | tuple[str, ...]
Sentence = tuple[Part, ...]
"""Fixed text and lists to choose from, in turn."""

CHANNELS: Final = ("mail", "web", "app")
CHANNEL_SHARES: Final = (0.5, 0.3, 0.2)


def _compile(template: str) -> Sentence:
    """Replace each ``{slot}`` by its word list.

    >>> _compile("see you {day}")[0]
    'see you '
    """
    pieces = re.split(r"\{(\w+)\}", template)
    parts = [_words(piece) if i % 2 else piece for i, piece in enumerate(pieces)]
    return tuple(part for part in parts if part)


def _words(slot: str) -> tuple[str, ...]:
    """Return a slot's words; addresses with a gap come with thirty different ends."""
    words = WORDS[slot]
    if not any("{}" in word for word in words):
        return words
    return tuple(word.format(number) for word in words for number in WORDS["number"][:30])


@dataclass(frozen=True)
class Topic:
    """One topic. ``share``: of all records in quiet times; ``by_channel``: its weight there.

    ``lengths``: how many sentences a text has, each equally likely. ``many_links``,
    ``no_author``: shares of its records with three links or more, and without an author.
    ``caught``: how often the deployed model labels it rightly.
    """

    name: str
    label: Label
    share: float
    sentences: tuple[Sentence, ...]
    by_channel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lengths: tuple[int, ...] = (1, 2, 2, 3)
    many_links: float = 0.01
    no_author: float = 0.015
    closed: float = 0.5
    caught: float = 0.97


def _topic(name: str, label: Label, share: float, text: str, **looks: Any) -> Topic:
    sentences = tuple(_compile(line.strip()) for line in text.strip().splitlines())
    return Topic(name, label, share, sentences, **looks)


OPENERS: Final[dict[Label, tuple[Sentence, ...]]] = {
    "spam": tuple(map(_compile, ("Hello friend,", "Dear customer,", "Hi there,", "Good news!"))),
    "ham": tuple(map(_compile, ("Hi {name},", "Hey {name},", "Hello all,", "Good morning,"))),
}
CLOSERS: Final[dict[Label, tuple[Sentence, ...]]] = {
    "spam": tuple(
        map(_compile, ("Act today.", "Only {few} places left.", "Reply now.", "Tell your friends."))
    ),
    "ham": tuple(
        map(
            _compile,
            ("Thanks, {name}", "Thanks a lot!", "See you, {name}", "Best, {name}", "Take care."),
        )
    ),
}

PHARMACY: Final = _topic(
    "pharmacy",
    "spam",
    0.10,
    """
    Buy {painkiller} at our {shop}, {nodoctor}, {shipping} to your door.
    Genuine {painkiller} and {tablet} now {percent} off, {nodoctor} and {shipping}.
    Our {shop} has {tablet} in stock again, {percent} cheaper than the one in your street.
    Back pain again, {name}? We ship {painkiller} with {shipping} for only {money}.
    Get {few} packs of {tablet} pills for {money} and {few} more for free at {medurl}
    Strong {painkiller} pills from a trusted {shop}, {shipping}, see {medurl}
    Save {percent} on all pills this {day}, {nodoctor}, {shipping} included.
    """,
    by_channel=(1.35, 0.8, 0.45),
    lengths=(2, 2, 3),
    many_links=0.3,
    no_author=0.14,
    closed=0.35,
)

WAVE: Final = _topic(
    "wallet_wave",
    "spam",
    0.0,
    """
    Your {wallet} was selected for the {coin} {airdrop}, worth about {money} at the present rate.
    Please {verify} your {wallet} before the {chain} on {day} or the balance will be frozen.
    To receive the {airdrop} connect the {wallet} and enter your {phrase} at {walleturl}
    After the {chain} every {wallet} holder must {verify} the {phrase} within {few} hours.
    The {coin} foundation sends {money} in {coin} to each {wallet} that is synchronised by {day}.
    We noticed an unusual login to your {wallet}, so {verify} it here: {walleturl}
    Blockchain support will never phone you, simply {verify} the {wallet} under {walleturl}
    """,
    lengths=(2, 2, 3),
    many_links=0.0,
    no_author=0.0,
    closed=0.0,
    caught=0.15,
)
"""The topic that appears later. No LF knows it: no link crowds, no missing authors, no thanks."""

TOPICS: Final = (
    PHARMACY,
    _topic(
        "promotion",
        "spam",
        0.09,
        """
        Please check my {genre} {work} out, I upload every {day} and I reply to everyone.
        Check this {genre} {work} out when you are bored: {vidurl}
        I am {name} and I make {genre} music, {subscribe} if you want to help a small artist.
        If you like {genre}, go and check our {work} out and {subscribe}, we give back.
        Just {few} more followers until my next {genre} {work}, so {subscribe} please.
        Thanks for watching my {genre} {work}, {subscribe} and tell me what to play next.
        My {work} reached {number} views this week, watch it at {vidurl}
        """,
        by_channel=(0.7, 1.4, 1.15),
        many_links=0.12,
        no_author=0.10,
        closed=0.3,
    ),
    _topic(
        "prize",
        "spam",
        0.065,
        """
        CONGRATULATIONS {name}, you have won a {prize} from {sponsor}, claim it at {claimurl}
        You are the WINNER of this {day} DRAW, send code {number} to claim your {prize}.
        FINAL NOTICE for ticket {number}: a {prize} worth {money} is still waiting for you.
        Your address was picked by {sponsor} and you won {money}, so claim before {day}.
        URGENT REPLY needed, {sponsor} could not deliver your {prize} of {money} last {day}.
        Our last winner from your town took home a {prize} as well as {money} in cash.
        """,
        by_channel=(1.2, 0.8, 0.8),
        lengths=(1, 2, 2),
        many_links=0.20,
        no_author=0.16,
        closed=0.3,
    ),
    _topic(
        "income",
        "spam",
        0.055,
        """
        Earn {money} a day {job}, all you need is {guru} and {few} free hours.
        My cousin made {money} last week {job} with {guru}, ask me how it works.
        People like {name} make {money} every {day} {job}, read more on {incomeurl}
        ABSOLUTELY FREE training shows how {guru} brings {money} a month to beginners.
        Stop working for others and earn up to {money} {job}, places close on {day}.
        """,
        by_channel=(1.0, 1.0, 1.0),
        many_links=0.18,
        no_author=0.12,
        closed=0.3,
    ),
    _topic(
        "offers",
        "spam",
        0.04,
        """
        Your {loan} of {money} is approved in principle, we only need a signature by {day}.
        Bad credit is no problem for us, a {loan} from {money} can start on {day}.
        Own a {replica} that nobody can tell from the original, {percent} below list price.
        Compare a {loan} in {few} clicks and keep more money every month: {loanurl}
        This {day} every {replica} comes with a second one for half the price at {loanurl}
        """,
        many_links=0.22,
        no_author=0.12,
        closed=0.3,
        caught=0.9,
    ),
    _topic(
        "meetings",
        "ham",
        0.12,
        """
        The {project} meeting moves to {day} at {time}, we take {room} again.
        I put the {paper} for the {project} on the agenda, please read it before {day}.
        Could someone from {team} send the {paper} about the {project} by {time} on {day}?
        The minutes of the {team} meeting are in the folder with the {paper}.
        We agreed that {name} checks the {project} {paper} and {team} signs it off.
        Let us keep the {team} meeting on {day} short, the {project} needs only one decision.
        Please check the {project} {paper} and point out what {team} has missed.
        """,
        by_channel=(1.5, 0.4, 0.65),
    ),
    _topic(
        "orders",
        "ham",
        0.11,
        """
        My order {number} arrived on {day} but the {goods} are {fault}.
        Where is order number {number}, {carrier} said it would be here on {day}?
        I would like to return the {goods} from order {number} since they are {fault}.
        The {goods} look fine, only {carrier} left the box outside in the {weather}.
        Can I still change the address for the {goods} that I bought on {day}?
        Your colleague {name} promised a refund of {money} for the {goods} last {day}.
        """,
        by_channel=(0.9, 1.1, 1.1),
    ),
    _topic(
        "family",
        "ham",
        0.125,
        """
        We are at {place} with {relative} until {day} and the {weather} does not bother us.
        Could you bring {dish} to the {event} on {day}, {relative} asked for it again.
        The {event} of {relative} starts at {time}, so we leave home rather early.
        I found old photos from {place} where {relative} wore that funny hat.
        Did {relative} really like {dish} at the {event}?
        Greetings from {place}, {weather} all week and {relative} is happy.
        After the {event} we drove through {weather} for {few} hours and slept at {place}.
        Tell {relative} that {name} said yes, so we are {few} people at the table.
        """,
        by_channel=(1.1, 0.8, 1.0),
        lengths=(1, 1, 2, 2),
        closed=0.5,
    ),
    _topic(
        "comments",
        "ham",
        0.125,
        """
        That {part} is {praise} and it makes me {mood} every single time.
        I keep coming back for the {part}, my favourite is still the version from {place}.
        Saw them live at {place} in the {weather} and the {part} was {praise}.
        Who else is listening to this with {relative} on a {day} evening?
        The {part} sounds {praise} on good headphones, the rest could be louder.
        LOVE this {part}, ABSOLUTELY {praise}, it still makes me {mood}!
        Such a {praise} {part}, I could {mood} all {day}.
        The {part} at {place} last {day} was {praise} too.
        Last {day} {relative} played this in the car and now I {mood} when I hear the {part}.
        """,
        by_channel=(0.3, 1.8, 1.55),
        lengths=(1, 1, 2, 2),
        closed=0.25,
    ),
    _topic(
        "bugs",
        "ham",
        0.09,
        """
        Since the last update the {screen} {bug} when I open it on my {device}.
        The {screen} works on my {device} but it {bug} as soon as I sign in.
        Each time I paste a long text the {screen} {bug} for about {few} seconds.
        I tried the {screen} with my {device} and with another one, it {bug} on both.
        The {screen} {bug} again on my {device}.
        Is there a way to reset the {screen} without losing my data on the {device}?
        """,
        by_channel=(0.8, 1.0, 1.5),
        lengths=(1, 1, 2, 2),
        closed=0.6,
    ),
    _topic(
        "thanks",
        "ham",
        0.08,
        """
        Thanks for the {paper}, {team} will look at it before {day}.
        Many thanks for {dish}, {relative} talked about it all evening.
        Thanks to {name} the {screen} is fine again on my {device}.
        Just a word of thanks to {carrier}, the {goods} came a day early.
        Thanks for letting us stay at {place}, the {weather} could not spoil it.
        """,
        by_channel=(1.0, 0.9, 1.1),
        lengths=(1, 1, 2),
    ),
)
"""Every topic of quiet times. The shares add up to one."""
