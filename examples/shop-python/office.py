"""The shop's office.

`python3 office.py return ORDER PARCEL` takes back one unit of each product of an order, and `python3 office.py export`
prints what was sold. PARCEL is a number of the shop's own; the same parcel is taken back once.
"""

import json
import sys

from flash import Refused, flash, give_back, sold

try:
    match sys.argv[1:]:
        case ["return", order, parcel]:
            lines = json.loads(flash("GET", f"/reservations/{order}"))["lines"]
            answer = give_back(order, [{"productId": line["productId"], "quantity": 1} for line in lines], key=parcel)
            print(answer["id"], *(f"{line['returned']} of {line['quantity']} returned" for line in answer["lines"]))
        case ["export"]:
            print(sold(), end="")
        case _:
            sys.exit(__doc__)
except Refused as refused:
    sys.exit(f"{refused.code}: {refused}")
