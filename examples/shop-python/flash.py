"""Requests to FlashReserve from a Python backend: an API key, a customer's id, and repeating where it is safe."""

import json
import os
import time
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

API_URL = os.environ.get("API_URL", "http://localhost:3000")
API_KEY = os.environ["API_KEY"]
TRIES = 3
TIMEOUT_S = 10


class Refused(Exception):
    """A refusal: the status, and the problem document with `code`, `detail` and facts such as `available`."""

    def __init__(self, status, problem):
        super().__init__(problem.get("detail", problem["title"]))
        self.status = status
        self.code = problem["code"]
        self.problem = problem


def flash(method, path, body=None, *, customer=None, key=None):
    """Send a request and return the answer's bytes.

    `customer` is the full id, such as `shop:42`; without it, the shop itself acts. `key` is the Idempotency-Key. A
    request is repeated after 503 and after a lost connection. A POST that takes units must therefore have a key.
    """
    headers = {"Authorization": f"Bearer {API_KEY}"}
    if customer is not None:
        headers["On-Behalf-Of"] = customer
    if key is not None:
        headers["Idempotency-Key"] = key
    if body is not None:
        headers["Content-Type"] = "application/json"
    sent = None if body is None else json.dumps(body).encode()
    tries = 0
    while True:
        tries += 1
        wait_s = 1
        try:
            with urlopen(Request(API_URL + path, sent, headers, method=method), timeout=TIMEOUT_S) as answer:
                return answer.read()
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or tries == TRIES:
                raise Refused(error.code, json.load(error)) from None
            wait_s = int(error.headers.get("Retry-After", 1))
        except (URLError, TimeoutError, ConnectionError):
            if tries == TRIES:
                raise
        time.sleep(wait_s)


def reserve(customer, product_id, *, click, quantity=1):
    """Hold units. `click` is new for each click on "buy", and the same for its repetitions."""
    body = {"quantity": quantity, "externalId": f"order-{click}"}
    return json.loads(flash("POST", f"/products/{product_id}/reservations", body, customer=customer, key=click))


def buy(customer, reservation_id):
    """Confirm a hold."""
    return json.loads(flash("POST", f"/checkout/{reservation_id}", customer=customer))


def cancel(customer, reservation_id):
    """Give back what is held."""
    return json.loads(flash("DELETE", f"/reservations/{reservation_id}", customer=customer))


def give_back(reservation_id, lines, *, key):
    """Return units of a purchase: `lines` is a list of `{"productId": …, "quantity": …}`."""
    return json.loads(flash("POST", f"/reservations/{reservation_id}/returns", {"lines": lines}, key=key))


def sold():
    """All purchases as CSV, one row for each product of each."""
    return flash("GET", "/reservations.csv?status=CONFIRMED").decode()
