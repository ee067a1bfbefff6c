"""A shop's backend: a WSGI application, as Flask's and Django's are. Run it with `python shop.py`."""

import hashlib
import hmac
import json
import os
import re
from wsgiref.simple_server import make_server

from flash import Refused, buy, reserve

BODY_MAX = 10_000


def cookie_of(number):
    """The cookie of a customer who has signed in, by the shop's own number of the customer."""
    return f"session={number}.{_signature(number)}"


def signed_in(environ):
    """The customer's id at FlashReserve, such as `shop:42`; None if nobody is signed in.

    Use the shop's own sign-in here: in Flask the session, in Django `request.user`.
    """
    found = re.search(r"(?:^|; )session=(\d+)\.(\w{64})(?:;|$)", environ.get("HTTP_COOKIE", ""))
    return f"shop:{found[1]}" if found and hmac.compare_digest(found[2], _signature(found[1])) else None


def _signature(text):
    return hmac.new(os.environ["SESSION_SECRET"].encode(), str(text).encode(), hashlib.sha256).hexdigest()


def application(environ, start_response):
    """The entry point of WSGI (PEP 3333)."""
    status, answer = respond(environ)
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def respond(environ):
    """POST /buy {"productId", "click"} buys one unit for the customer who is signed in."""
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/buy"):
        return "404 Not Found", {"code": "not-found"}
    customer = signed_in(environ)
    if customer is None:
        return "401 Unauthorized", {"code": "unauthenticated"}
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size > BODY_MAX:
        return "413 Content Too Large", {"code": "too-large"}
    asked = json.loads(environ["wsgi.input"].read(size))
    try:
        hold = reserve(customer, asked["productId"], click=asked["click"])
        # Authorise the payment here, under the name hold["id"]. If it is declined: cancel(customer, hold["id"]).
        bought = buy(customer, hold["id"])
    except Refused as refused:  # After 410 the hold was over: void the payment.
        return f"{refused.status} Refused", refused.problem
    # Capture the payment here.
    return "200 OK", bought


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "3001"))
    with make_server("127.0.0.1", port, application) as server:
        print(f"The shop is at http://localhost:{port}")
        server.serve_forever()
