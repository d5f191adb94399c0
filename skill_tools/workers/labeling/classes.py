"""The names that can be detected (COCO's 80), their COCO ids and which of them are one kind of thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from skill_tools.errors import InputError

_COCO = """
1 person person            2 bicycle vehicle          3 car vehicle              4 motorcycle vehicle
5 airplane vehicle         6 bus vehicle              7 train vehicle            8 truck vehicle
9 boat vehicle             10 traffic_light outdoor   11 fire_hydrant outdoor    13 stop_sign outdoor
14 parking_meter outdoor   15 bench outdoor           16 bird animal             17 cat animal
18 dog animal              19 horse animal            20 sheep animal            21 cow animal
22 elephant animal         23 bear animal             24 zebra animal            25 giraffe animal
27 backpack accessory      28 umbrella accessory      31 handbag accessory       32 tie accessory
33 suitcase accessory      34 frisbee sports          35 skis sports             36 snowboard sports
37 sports_ball sports      38 kite sports             39 baseball_bat sports     40 baseball_glove sports
41 skateboard sports       42 surfboard sports        43 tennis_racket sports    44 bottle kitchen
46 wine_glass kitchen      47 cup kitchen             48 fork kitchen            49 knife kitchen
50 spoon kitchen           51 bowl kitchen            52 banana food             53 apple food
54 sandwich food           55 orange food             56 broccoli food           57 carrot food
58 hot_dog food            59 pizza food              60 donut food              61 cake food
62 chair furniture         63 couch furniture         64 potted_plant furniture  65 bed furniture
67 dining_table furniture  70 toilet furniture        72 tv electronic           73 laptop electronic
74 mouse electronic        75 remote electronic       76 keyboard electronic     77 cell_phone electronic
78 microwave appliance     79 oven appliance          80 toaster appliance       81 sink appliance
82 refrigerator appliance  84 book indoor             85 clock indoor            86 vase indoor
87 scissors indoor         88 teddy_bear indoor       89 hair_drier indoor       90 toothbrush indoor
"""

_WORDS = _COCO.split()

CLASS_NAMES: tuple[str, ...] = tuple(name.replace("_", " ") for name in _WORDS[1::3])
"""COCO's names in the order of a COCO-80 detector's outputs; an index into it is a *class index*."""

CATEGORY_IDS: tuple[int, ...] = tuple(int(number) for number in _WORDS[0::3])
"""COCO's own category ids (1 to 90 with gaps), by class index."""

SUPERCATEGORIES: tuple[str, ...] = tuple(_WORDS[2::3])

_INDEX = {name: index for index, name in enumerate(CLASS_NAMES)}

_NEAR = 0.5
_ALIKE = (("car", "truck", "bus"), ("bicycle", "motorcycle"))

KINDS: tuple[int, ...] = tuple(
    next((_INDEX[group[0]] for group in _ALIKE if name in group), index)
    for index, name in enumerate(CLASS_NAMES)
)
"""By class index, the kind: classes that a detector takes for one another from frame to frame (a van is
a car, then a truck) share one, so that they suppress each other and stay one track."""


def class_index(name: str) -> int:
    """Give the class index of `name` (`traffic_light` and `traffic light` alike).

    Raises:
        InputError: no COCO class is called so; the nearest is named.
    """
    plain = name.strip().lower().replace("_", " ")
    if plain not in _INDEX:
        raise InputError(
            f"No detector class is called {name!r}",
            expected=f"one of COCO's {len(CLASS_NAMES)} classes",
            remedy=nearest(plain, CLASS_NAMES),
            code="input.unknown_class",
        )
    return _INDEX[plain]


def nearest(name: str, choices: Iterable[str]) -> str:
    """Name the nearest valid choice, or all of them if none is near."""
    known = sorted(choices)

    def likeness(choice: str) -> tuple[float, bool]:
        return difflib.SequenceMatcher(None, name, choice).ratio(), name.startswith(choice)

    best = max(known, key=likeness)
    return f"did you mean {best!r}?" if likeness(best)[0] >= _NEAR else f"choose from {', '.join(known)}"
