"""Checks the pins for known vulnerabilities with pip-audit, and reports it if this machine can't do so.

    python tools/known_vulnerabilities.py PIP_AUDIT REQUIREMENTS...

Exit code 1 means that there are some. pip-audit alone isn't enough: its exit code is the same for a missing network as
for a finding. On a mirror that knows packages but not their versions, it checks nothing and reports success.
"""

import json
import subprocess
import sys


def main(pip_audit: str, *files: str) -> int:
    """Check each file. Returns the exit code."""
    words = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    for file in files:
        done = subprocess.run([pip_audit, *words, "--requirement", file], capture_output=True, text=True, check=False)
        try:
            found = json.loads(done.stdout)["dependencies"]
        except ValueError:
            print(f"pip-audit is skipped: the index of packages can't be asked from here. It says:\n{done.stderr}")
            return 0
        unknown = [each["name"] for each in found if "skip_reason" in each]
        if len(unknown) == len(found):
            print("pip-audit is skipped: the index of packages that answers here knows no vulnerabilities.")
            return 0
        vulnerable = [each for each in found if each.get("vulns")]
        for each in vulnerable:
            for flaw in each["vulns"]:
                print(f"{file}: {each['name']} {each['version']}: {flaw['id']}, mended in {flaw['fix_versions']}")
        if vulnerable or unknown:
            print(f"{file}: not looked up: {', '.join(unknown) or 'none'}")
            return 1
        print(f"{file}: {len(found)} packages, no known vulnerabilities")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
