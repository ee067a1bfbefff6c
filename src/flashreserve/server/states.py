"""The states of a connection and of its exchanges, and which event leads from which state to which.

Theory of operation
===================

A connection carries requests in and answers out. A request and its answer are one exchange. Exchanges are answered one
after another, in the order of their requests. `latest` is the exchange whose head was read last. `active` is the one
that is being answered. The exchanges between them wait in a queue. Often `latest` and `active` are the same.

Four state machines describe the progress, each by a table. A state is changed only by a look into its table:

    self.reading = READING[self.reading][HEAD_BEGINS]

An event that the table doesn't allow in the current state raises KeyError: that is a bug in this package, and no client
can cause it. Changes are not made by a method, because every request has six of them, and six calls can be measured.

1. Reading: how far the client's request has been read. One machine for each connection.

       IDLE --HEAD_BEGINS--> IN_HEAD --HEAD_ENDS--> IN_BODY --REQUEST_ENDS--> IDLE

   A request without a body passes through IN_BODY at once.

2. Connection: whether it still reads and writes. It only goes forward.

       OPEN       bytes are read
       REFUSING   the input was invalid or too late: bytes are dropped; the refusal is written after the answers to the
                  requests before it
       FINISHING  the client closed its side and sends no more; its requests are still answered
       LINGERING  the last answer is written and our side is closed: bytes are dropped until the client closes too,
                  because a reset could take the answer away from it
       CLOSED     nothing is read or written any more

   Only OPEN reads. In all other states, Reading doesn't change.

3. Body, of each exchange: how much of it the application has.

       COMING   more may come
       WHOLE    all of it was read, and the application hasn't taken all of it
       TAKEN    the application has taken all of it
       BROKEN   the body is invalid, so the rest is never read

   The latest exchange's body is COMING as long as Reading is IN_BODY.

4. Answer, of each exchange.

       QUEUED     not begun: an earlier answer is incomplete, or the rest of a short body is awaited
       STARTED    with the express lane, or in a task that hasn't run yet
       RUNNING    the application has the request
       HELD       the application gave the answer's head, which isn't written yet: an error can still become a 500
       SENDING    the head and a part of the body are written
       STREAMING  the head is written; the body goes on after the application has returned (`open_stream.py`)
       ANSWERED   complete, by the application or by a refusal in its place
       DROPPED    its body broke before the application began: it is never answered
       GONE       the client left before the answer was complete; the application may still run

   The express lane goes from STARTED to ANSWERED: it gives whole answers.

Two flags beside the machines change in one direction only: `keep_alive`, whether the connection goes on after the
answer (True until something asks to close), and `late`, whether the body's time is over (the body may still come).
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

# 1. Reading.

Reading: TypeAlias = Literal["idle", "in head", "in body"]
IDLE: Final = "idle"
IN_HEAD: Final = "in head"
IN_BODY: Final = "in body"

ReadingEvent: TypeAlias = Literal["head begins", "head ends", "request ends"]
HEAD_BEGINS: Final = "head begins"
HEAD_ENDS: Final = "head ends"
REQUEST_ENDS: Final = "request ends"

READING: Final[Mapping[Reading, Mapping[ReadingEvent, Reading]]] = {
    IDLE: {HEAD_BEGINS: IN_HEAD},
    IN_HEAD: {HEAD_ENDS: IN_BODY},
    IN_BODY: {REQUEST_ENDS: IDLE},
}

# 2. Connection.

ConnectionState: TypeAlias = Literal["open", "refusing", "finishing", "lingering", "closed"]
OPEN: Final = "open"
REFUSING: Final = "refusing"
FINISHING: Final = "finishing"
LINGERING: Final = "lingering"
CLOSED: Final = "closed"

ConnectionEvent: TypeAlias = Literal["refuse", "client ends", "linger", "close"]
REFUSE: Final = "refuse"
CLIENT_ENDS: Final = "client ends"
LINGER: Final = "linger"
CLOSE: Final = "close"

CONNECTION: Final[Mapping[ConnectionState, Mapping[ConnectionEvent, ConnectionState]]] = {
    OPEN: {REFUSE: REFUSING, CLIENT_ENDS: FINISHING, LINGER: LINGERING, CLOSE: CLOSED},
    REFUSING: {CLIENT_ENDS: FINISHING, LINGER: LINGERING, CLOSE: CLOSED},
    FINISHING: {LINGER: LINGERING, CLOSE: CLOSED},
    LINGERING: {CLOSE: CLOSED},
    CLOSED: {CLOSE: CLOSED},
}

# 3. Body.

BodyState: TypeAlias = Literal["coming", "whole", "taken", "broken"]
COMING: Final = "coming"
WHOLE: Final = "whole"
TAKEN: Final = "taken"
BROKEN: Final = "broken"

BodyEvent: TypeAlias = Literal["body ends", "take body", "break body"]
BODY_ENDS: Final = "body ends"
TAKE_BODY: Final = "take body"
BREAK_BODY: Final = "break body"

BODY: Final[Mapping[BodyState, Mapping[BodyEvent, BodyState]]] = {
    COMING: {BODY_ENDS: WHOLE, BREAK_BODY: BROKEN},
    WHOLE: {TAKE_BODY: TAKEN},
    TAKEN: {},
    BROKEN: {},
}

INCOMPLETE: Final = frozenset({COMING, BROKEN})

# 4. Answer.

AnswerState: TypeAlias = Literal[
    "queued", "started", "running", "held", "sending", "streaming", "answered", "dropped", "gone"
]
QUEUED: Final = "queued"
STARTED: Final = "started"
RUNNING: Final = "running"
HELD: Final = "held"
SENDING: Final = "sending"
STREAMING: Final = "streaming"
ANSWERED: Final = "answered"
DROPPED: Final = "dropped"
GONE: Final = "gone"

AnswerEvent: TypeAlias = Literal["start", "run", "hold head", "send", "stream", "complete", "drop", "leave"]
START: Final = "start"
RUN: Final = "run"
HOLD_HEAD: Final = "hold head"
SEND: Final = "send"
STREAM: Final = "stream"
COMPLETE: Final = "complete"
DROP: Final = "drop"
LEAVE: Final = "leave"

ANSWER: Final[Mapping[AnswerState, Mapping[AnswerEvent, AnswerState]]] = {
    QUEUED: {START: STARTED, DROP: DROPPED, LEAVE: GONE},
    STARTED: {RUN: RUNNING, COMPLETE: ANSWERED, DROP: DROPPED, LEAVE: GONE},
    RUNNING: {HOLD_HEAD: HELD, STREAM: STREAMING, COMPLETE: ANSWERED, LEAVE: GONE},
    HELD: {SEND: SENDING, COMPLETE: ANSWERED, LEAVE: GONE},
    SENDING: {SEND: SENDING, COMPLETE: ANSWERED, LEAVE: GONE},
    STREAMING: {COMPLETE: ANSWERED, LEAVE: GONE},
    ANSWERED: {},
    DROPPED: {LEAVE: GONE},
    GONE: {RUN: GONE, LEAVE: GONE},
}

NOT_BEGUN: Final = frozenset({QUEUED, STARTED})
HEAD_GIVEN: Final = frozenset({HELD, SENDING})
OVER: Final = frozenset({ANSWERED, GONE})
