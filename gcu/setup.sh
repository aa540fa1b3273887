#!/bin/sh
# Sets up everything that the project needs: Debian packages (where this user may install them, else it names the command) and
# the Python environment .venv with pinned versions. Safe to run again; does nothing where nothing is missing.
set -eu
cd "$(dirname "$0")/.."

missing=""
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
command -v clang++ >/dev/null 2>&1 || missing="$missing clang"
command -v make >/dev/null 2>&1 || missing="$missing make"
command -v perl >/dev/null 2>&1 || missing="$missing perl"
command -v iverilog >/dev/null 2>&1 || missing="$missing iverilog"
python3 -c "import ensurepip, venv" >/dev/null 2>&1 || missing="$missing python3-venv"
[ -e /usr/include/lz4.h ] || missing="$missing liblz4-dev"
[ -e /usr/include/zlib.h ] || missing="$missing zlib1g-dev"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        apt-get install -y -q $missing >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get install -y -q $missing >/dev/null; }
    else
        echo "missing:$missing; install with: sudo apt-get install$missing" >&2
        # Without these nothing builds; the others cost a simulator or a waveform format, which 'gcu doctor' names.
        for tool in g++ make perl python3-venv; do
            case " $missing " in *" $tool "*) exit 1 ;; esac
        done
    fi
fi

python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or later is needed" >&2; exit 1; }
stamp=.venv/.installed
wanted=$(cat requirements.txt pyproject.toml | cksum)
if [ ! -x .venv/bin/gcu ] || [ "$(cat $stamp 2>/dev/null)" != "$wanted" ]; then
    echo "setting up .venv"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
    echo "$wanted" > $stamp
fi
