#!/bin/sh
# Usage: run_tests.sh MARKS [options of pytest]
# Run the tests that have the marks: on all processors (at most 4), then those marked `alone` one by one.
# The exit code is that of the last run that failed, or 5 if no test was selected. If there are failures in the first
# run, the second one takes place all the same, so that all failures are shown.
marks=$1
shift
selected=false
failed=0

run() {
    .venv/bin/pytest "$@"
    code=$?
    # pytest exits with 5 if no test is selected.
    if [ "$code" -ne 5 ]; then
        selected=true
        if [ "$code" -ne 0 ]; then failed=$code; fi
    fi
}

# A file's tests stay in one process, since they share servers.
run --numprocesses auto --maxprocesses 4 --dist loadfile -m "$marks and not alone" "$@"
run -m "$marks and alone" "$@"
if [ "$failed" -ne 0 ]; then exit "$failed"; fi
if ! "$selected"; then exit 5; fi
