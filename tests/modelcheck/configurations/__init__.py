"""The configurations in which the real code is explored. In each of them, all promises must be kept."""

from typing import Final

from tests.modelcheck.configurations.claims import CLAIMS
from tests.modelcheck.configurations.faults import FAULTS
from tests.modelcheck.configurations.products import PRODUCTS
from tests.modelcheck.configurations.releases import RELEASES
from tests.modelcheck.configurations.reserves import RESERVES
from tests.modelcheck.configurations.returns import RETURNS
from tests.modelcheck.shop import CodeConfiguration

CONFIGURATIONS: Final[tuple[CodeConfiguration, ...]] = (
    *RESERVES,
    *RELEASES,
    *RETURNS,
    *CLAIMS,
    *PRODUCTS,
    *FAULTS,
)
