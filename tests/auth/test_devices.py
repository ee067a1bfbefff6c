import msgspec
import pytest

from flashreserve.auth.devices import DEVICE_AUDIENCE, DEVICE_TTL_S, Device, DeviceTokens
from flashreserve.auth.keys import KeyRing, TokenRefused
from flashreserve.auth.tokens import Tokens
from flashreserve.core.model import Role

NOW_MS = 1_795_000_000_000
END_S = NOW_MS // 1000 + DEVICE_TTL_S
DEVICE = Device(account_id="0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", id="0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001")


@pytest.fixture
def devices(keys: KeyRing) -> DeviceTokens:
    return DeviceTokens(keys)


def test_a_device_is_known_again_until_its_token_ends(devices: DeviceTokens) -> None:
    issued = devices.issue(DEVICE, NOW_MS)
    assert issued.expires_at == NOW_MS + DEVICE_TTL_S * 1000
    assert devices.read(issued.token, issued.expires_at - 1) == DEVICE
    assert devices.read(issued.token, issued.expires_at) is None


def test_no_token_and_bad_tokens_are_no_device(devices: DeviceTokens, keys: KeyRing) -> None:
    good = {"iss": "flashreserve", "aud": DEVICE_AUDIENCE, "sub": DEVICE.account_id, "jti": DEVICE.id, "exp": END_S}
    assert devices.read(keys.sign(msgspec.json.encode(good)), NOW_MS) == DEVICE
    changes: list[dict[str, object]] = [
        {"iss": "x"},
        {"aud": "x"},
        {"jti": "x" * 1000},
        {"jti": 1},
        {"exp": "x"},
        {"exp": END_S + 31},
        {"nbf": NOW_MS // 1000 + 31},
        {"iat": NOW_MS // 1000 + 31},
        {"iat": "x"},
    ]
    bad = [keys.sign(msgspec.json.encode({**good, **change})) for change in changes]
    stranger = DeviceTokens(KeyRing.parse("new:the-secret-of-somebody-else-altogether")).issue(DEVICE, NOW_MS).token
    for token in ["", "x", "A" * 1_000_000, keys.sign(b"{"), keys.sign(b"\xff"), stranger, *bad]:
        assert devices.read(token, NOW_MS) is None


def test_a_device_token_is_no_access_token_and_the_other_way_round(devices: DeviceTokens, keys: KeyRing) -> None:
    tokens = Tokens(keys, ttl_s=3600)
    assert isinstance(tokens.verify(devices.issue(DEVICE, NOW_MS).token, NOW_MS), TokenRefused)
    assert devices.read(tokens.issue(DEVICE.account_id, Role.CUSTOMER, NOW_MS).token, NOW_MS) is None
