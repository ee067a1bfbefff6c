"""A receiver of webhooks: it verifies, stores each event once, and answers at once. Run `python receiver.py`."""

import os
import sqlite3
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

BODY_MAX = 100_000
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = sqlite3.connect(os.environ.get("EVENTS", "events.db"))
database.execute("CREATE TABLE IF NOT EXISTS events (id PRIMARY KEY, subject, sequence, body)")


def receive(headers, body):
    """The status of the answer. After 204 the event is stored, exactly once."""
    try:
        event = webhook.verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return 401
    subject, previous = event["subject"]["id"], event["previous"]
    row = (headers["webhook-id"], subject, event["sequence"], body)
    with database:  # One transaction. Write here, too, what your shop makes of a new event.
        new = database.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)", row).rowcount
        found = database.execute("SELECT 1 FROM events WHERE (subject, sequence) = (?, ?)", (subject, previous))
        if previous is not None and not found.fetchone():
            print(f"missing: number {previous} of {subject}; get it from /events?subject={subject}", flush=True)
    print("new:" if new else "again:", event["type"], headers["webhook-id"], flush=True)
    return 204


class Receiver(BaseHTTPRequestHandler):
    """Answers POST requests, one after the other."""

    timeout = 15  # Seconds. A connection that sends nothing would hold up all others.

    def do_POST(self):
        """Receive a delivery."""
        size = int(self.headers.get("Content-Length", BODY_MAX + 1))
        status = receive(self.headers, self.rfile.read(size)) if 0 <= size <= BODY_MAX else 413
        self.send_response_only(status)
        self.end_headers()


if __name__ == "__main__":
    with HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3001"))), Receiver) as server:
        print(f"The receiver is at http://localhost:{server.server_port}/hook", flush=True)
        server.serve_forever()
