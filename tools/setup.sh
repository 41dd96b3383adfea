#!/bin/sh
# Makes .venv: finds a Python that fits, then hands over to tools/environment.py. `make setup` runs this.
# PYTHON=... names the interpreter, PROFILE=cpu|cuda the set of packages (default: the one already there, else cpu).
set -u
cd "$(dirname "$0")/.." || exit 1

if [ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && .venv/bin/python -IS tools/environment.py check; then
    exit 0  # nothing changed since the last complete set-up
fi

seen=""
for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
        3.11 | 3.12) exec "$candidate" -I tools/environment.py make ;;
    esac
    seen="$seen${seen:+, }$candidate is $version"
done

if [ -n "$seen" ]; then
    echo "hone: Python 3.11 or 3.12 is needed ($seen): install one, or name it with PYTHON=/path/to/python3.11" >&2
else
    echo "hone: ${PYTHON:-python3} was not found: install Python 3.11 or 3.12, or name it with PYTHON=/path/to/python3.11" >&2
fi
exit 1
