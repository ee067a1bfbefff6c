"""The admin of a rehearsal, at addresses whose answers differ from a shop's."""

import pytest
from typing_extensions import override

from flashreserve.clock import SystemClock
from flashreserve.rehearsal.admin_client import AdminClient
from flashreserve.rehearsal.client import Client, Response
from flashreserve.rehearsal.server import RehearsalError


class Stranger(Client):
    def __init__(self, body: bytes) -> None:
        super().__init__("http://127.0.0.1:1", connections_max=1)
        self._body = body

    @override
    async def ask(self, request: bytes, timeout_s: float) -> Response:
        return Response(200, {}, self._body)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 1}', b"{}", b'{"id":"\xff"}', b'{"x":' + b"[" * 9_999])
async def test_an_answer_that_is_no_shops_is_told_in_a_sentence(body: bytes) -> None:
    admin = AdminClient(Stranger(body), "token", SystemClock())

    with pytest.raises(RehearsalError) as told:
        await admin.put_on_sale("x")

    expected, _, said = str(told.value).partition(" It answered 200 ")
    assert expected == "PATCH /products/x: expected the JSON that FlashReserve answers with."
    assert said == body[:300].decode(errors="replace")
