# shellcheck shell=bash
# What build.sh and run.sh share; sourced by them.

# shellcheck disable=SC2034  # theirs
docker=${UNRENDER_DOCKER:-docker}

# Prints the caller's own head, from its second line to where its commands begin.
usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[1]}"
}

# need OPTION WORDS-LEFT: the option's value must be among them.
need() {
    if [ "$2" -lt 2 ]; then
        echo "error: $1 needs a value" >&2
        exit 2
    fi
}

need_docker() {
    if ! command -v "$docker" >/dev/null; then
        echo "error: $docker is not installed (https://docs.docker.com/engine/install/)" >&2
        exit 3
    fi
}
