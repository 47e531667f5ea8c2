# missing.sh: finds what a command of this project needs and installs what isn't there, with
# Debian's apt-get. Sourced by ./demo and ./check, which set `me` to their name.

say() {
    printf '%s: %s\n' "$me" "$*"
}

die() {
    printf '%s: %s\n' "$me" "$*" >&2
    exit 1
}

# here PROGRAM|<HEADER>|/PATH: is it on this machine?
here() {
    case $1 in
    cc) "${CC:-cc}" --version >/dev/null 2>&1 ;;
    '<'*'>') printf '#include %s\n' "$1" | "${CC:-cc}" -E -include setjmp.h -include stdarg.h \
        -include stddef.h -include stdint.h - >/dev/null 2>&1 ;;
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# install_missing "PROGRAM|<HEADER>|/PATH PACKAGE"...: installs the package of each that isn't here.
install_missing() {
    local pair packages=() missing=() root=()
    for pair in "$@"; do
        here "${pair% *}" && continue
        missing+=("${pair% *}")
        packages+=("${pair#* }")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    say "missing here: ${missing[*]}"
    command -v apt-get >/dev/null ||
        die "this system has no apt-get: please install these (Debian's packages are ${packages[*]}) and run again."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "installing needs root and there is no sudo: as root, run apt-get install ${packages[*]}"
        root=(sudo)
    fi
    root+=(env DEBIAN_FRONTEND=noninteractive)

    local command=(apt-get install -y --no-install-recommends "${packages[@]}")
    say "installing: apt-get update, then ${command[*]}"
    local log
    log=$(mktemp)
    if ! "${root[@]}" apt-get -q update >"$log" 2>&1 ||
        ! "${root[@]}" "${command[@]}" >>"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${packages[*]} (its words are above)."
    fi
    rm -f "$log"
}

# quietly LOG COMMAND...: runs it with its words in LOG; they are shown when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 && return
    grep -v '^\[[0-9]*/[0-9]*\] ' "$log" >&2 # without ninja's lines of progress
    return 1
}

cmake_is_new_enough() {
    local version
    version=$(cmake --version | sed -n '1s/[^0-9]*//p')
    [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ] ||
        die "cmake $version is too old: 3.25 or newer is needed."
}
