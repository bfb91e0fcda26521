"""Word lists of the demo's sentences. All made up; addresses use the reserved name `.example`."""

from __future__ import annotations

from typing import Final

# fmt: off
FIRST_NAMES: Final = (
    "Mia", "Noah", "Lina", "Omar", "Priya", "Jonas", "Zoë", "Mateo", "Ines", "Kofi", "Hana",
    "Lukas", "Amara", "Søren", "Elif", "Theo", "Yuki", "Carla", "Dmitri", "Noor", "Felix", "Ayo",
    "Marta", "Ravi", "Clara", "José", "Ada", "Tomas", "Leila", "Finn",
)
# fmt: on

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "name": FIRST_NAMES,
    "number": tuple(str(10_007 + 7_919 * i % 89_989) for i in range(400)),
    "money": tuple(f"${amount}" for amount in (150, 240, 375, 480, 620, 900, 1200, 2500, 4800)),
    "percent": ("30%", "40%", "50%", "60%", "65%", "70%", "75%", "80%"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "time": ("9:00", "9:30", "10:00", "11:15", "13:00", "14:30", "15:00", "16:45"),
    "few": ("two", "three", "four", "five", "six", "seven", "ten"),
    # Pharmacy
    "painkiller": ("vicodin", "Vicodin", "vicodin", "oxycontin", "Oxycontin", "vicodin ES"),
    "tablet": ("viagra", "Viagra", "cialis", "viagra", "Cialis"),
    "shop": ("online pharmacy", "drugstore", "discount chemist", "med shop", "web pharmacy"),
    "nodoctor": (
        "no prescription needed",
        "without a prescription",
        "no doctor visit",
        "no questions asked",
        "prescription not required",
    ),
    "shipping": (
        "discreet shipping",
        "overnight delivery",
        "plain packaging",
        "free worldwide shipping",
        "delivery in 48 hours",
        "private courier",
    ),
    "medurl": (
        "https://rx-direct.example/deal",
        "https://cheapmeds.example/now",
        "http://24h-pharma.example",
        "https://refill.example/today",
    ),
    # Promotion
    "work": ("channel", "playlist", "video", "mixtape", "cover song", "page", "new single", "vlog"),
    "genre": ("rap", "indie", "house", "comedy", "gaming", "guitar", "fitness", "metal", "cooking"),
    "subscribe": ("subscribe", "hit subscribe", "leave a like", "follow me", "share it"),
    "vidurl": (
        "https://clips.example/w/{}",
        "http://tunes.example/play/{}",
        "https://myvlog.example/{}",
    ),
    # Prizes and income
    "prize": ("phone", "gift card", "cruise", "laptop", "holiday", "shopping voucher", "car"),
    "sponsor": ("our sponsors", "the promo team", "the mobile lottery", "our partner shops"),
    "claimurl": ("https://bigdraw.example/c/{}", "http://prize-desk.example/{}"),
    "job": ("from home", "with your phone", "in your spare time", "as a data typist", "online"),
    "guru": ("my system", "this simple trick", "our starter kit", "a secret method", "one form"),
    "incomeurl": ("https://easyday.example/join", "http://homejobs.example/{}"),
    # Loans and replicas
    "loan": ("personal loan", "business credit", "cash advance", "debt plan", "mortgage offer"),
    "replica": ("designer watch", "luxury handbag", "replica chronograph", "leather briefcase"),
    "loanurl": ("https://fastcredit.example/{}", "http://lux-outlet.example/sale"),
    # Work
    "project": ("roadmap", "budget", "release", "onboarding", "survey", "hiring plan", "audit"),
    "paper": ("slides", "draft", "report", "spreadsheet", "notes", "contract", "proposal"),
    "room": ("room 4", "the small room", "the call", "the usual link", "the third floor"),
    "team": ("design", "finance", "support", "platform", "sales", "legal", "research"),
    # Orders
    "goods": ("headphones", "desk lamps", "rain jackets", "mugs", "running shoes", "backpacks"),
    "fault": ("scratched", "the wrong size", "not complete", "late", "the wrong colour", "damp"),
    "carrier": ("the courier", "the driver", "the depot", "your tracking page", "the post office"),
    # Private life
    "relative": ("grandma", "my brother", "aunt Rosa", "the kids", "dad", "our neighbours"),
    "event": ("birthday", "barbecue", "school play", "wedding", "picnic", "recital", "house move"),
    "dish": ("lasagne", "a lentil soup", "two apple pies", "the potato salad", "fresh bread"),
    "place": ("the lake", "Lisbon", "the mountains", "grandma's village", "the coast", "Vienna"),
    "weather": ("rain", "sun", "fog", "snow", "wind", "a heat wave", "a thunderstorm"),
    # Comments and bugs
    "part": ("chorus", "bass line", "second verse", "ending", "drum break", "intro", "bridge"),
    "praise": ("lovely", "gorgeous", "so good", "beautiful", "haunting", "really clever", "warm"),
    "mood": ("smile", "dance", "cry a little", "feel calm", "think of summer", "miss home"),
    "screen": ("settings page", "search box", "login form", "photo viewer", "export dialog"),
    "bug": ("freezes", "goes blank", "shows an old date", "jumps to the top", "loses my text"),
    "device": ("tablet", "old laptop", "work computer", "new phone", "browser", "other account"),
    # The new wave: none of these words occurs in any other topic
    "coin": ("solaro", "nimbus token", "aurum coin", "velora", "zentra token", "orbita"),
    "wallet": ("crypto wallet", "wallet", "digital wallet", "coin wallet", "self-custody wallet"),
    "airdrop": ("airdrop", "token airdrop", "community airdrop", "holder airdrop"),
    "verify": ("verify", "validate", "confirm", "re-verify", "synchronise"),
    "phrase": ("recovery phrase", "seed phrase", "twelve backup words", "passkey phrase"),
    "chain": ("mainnet upgrade", "chain migration", "network fork", "protocol update"),
    "walleturl": (
        "https://wallet-sync.example/verify",
        "https://airdrop-hub.example/{}",
        "https://secure-ledger.example/restore",
    ),
}

PLAIN_TO_DISGUISED: Final = {
    "vicodin": "v1codin",
    "Vicodin": "V1codin",
    "oxycontin": "0xyc0ntin",
    "Oxycontin": "Oxyc0ntin",
    "viagra": "vlagra",
    "Viagra": "Vlagra",
    "cialis": "c1alis",
    "Cialis": "Cial1s",
    "pills": "p1lls",
}
"""How the pharmacy campaign respells its words to slip past the LFs that know them."""
