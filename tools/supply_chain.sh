#!/bin/sh
# Lists the service's components (SBOM), and checks all pins for known vulnerabilities. `make supply-chain` installs the
# tools first.
set -eu
cd "$(dirname "$0")/.."

tools=.venv/supply-chain/bin
pins=requirements/runtime.txt
list=build/components.cdx.json

mkdir -p build
# The suppressed warning says that the list has no dependency graph: the pins have none.
PYTHONWARNINGS=ignore "$tools/cyclonedx-py" requirements "$pins" --pyproject pyproject.toml --output-reproducible \
    --output-format JSON --output-file "$list"
"$tools/python" tools/vendored_components.py "$list" src/flashreserve/http/static/web/vendor/versions.json
echo "$list lists $(grep -c '^[a-z0-9-]*==' "$pins") Python packages."

exec "$tools/python" tools/known_vulnerabilities.py "$tools/pip-audit" requirements/*.txt
