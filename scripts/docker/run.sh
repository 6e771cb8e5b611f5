#!/usr/bin/env bash
# Runs the backend in its image, as the user who calls it.
#
#   scripts/docker/run.sh doctor
#   scripts/docker/run.sh download nerf_lego
#   scripts/docker/run.sh reconstruct --config nerf_lego -o jobs/lego
#   scripts/docker/run.sh --detach --name lego reconstruct data/my-photographs -o jobs/mine --preset high
#   scripts/docker/run.sh shell
#
# In the container, data/ is the folder of photographs (read only, but for `download`) and jobs/ the folder of results.
#
#   --data FOLDER     the folder of photographs (default: data, here)
#   --jobs FOLDER     the folder of results (default: jobs, here; made where there is none)
#   --gpus WHICH      all, none, or numbers such as 0,1 (default: all where nvidia-smi finds a driver, else none)
#   --detach          go on in the background and print how to follow, stop and remove it
#   --name NAME       what the container is called (default: unrender-TIME-PID)
#   --image NAME      the image (default: unrender:latest)
#   --option OPTION   one more option for `docker run`; may be given again
#
# Exit status: the backend's own. UNRENDER_DOCKER names the program (default: docker). Kernels for the GPU stay in the volume
# unrender-cache.
set -euo pipefail

# shellcheck source=scripts/docker/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="data"
jobs="jobs"
gpus=
detach=
name=unrender-$(date +%Y%m%d-%H%M%S)-$$
image=unrender:latest
more=()

# --mount's value is a line of CSV: a field in quotes may hold commas and blanks, and its quotes are doubled
mounted() {
    local folder=${1//\"/\"\"}
    printf 'type=bind,"source=%s",target=%s%s' "$folder" "$2" "$3"
}

while [ $# -gt 0 ]; do
    case $1 in
        --data) need "$1" $#; data=$2; shift ;;
        --jobs) need "$1" $#; jobs=$2; shift ;;
        --gpus) need "$1" $#; gpus=$2; shift ;;
        --name) need "$1" $#; name=$2; shift ;;
        --image) need "$1" $#; image=$2; shift ;;
        --option) need "$1" $#; more+=("$2"); shift ;;
        --detach) detach=yes ;;
        --) shift; break ;;
        -h | --help) usage; exit 0 ;;
        -*) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
        *) break ;;
    esac
    shift
done
if [ $# -eq 0 ]; then
    usage >&2
    exit 2
fi
need_docker

if [ -z "$gpus" ]; then
    gpus=none
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
        gpus=all
    fi
fi

# Docker would make a folder that is missing as root
mkdir -p -- "$jobs"
jobs=$(cd -- "$jobs" && pwd -P)
access=,readonly
if [ "$1" = download ]; then
    access=
    mkdir -p -- "$data"
fi

options=(
    --name "$name" --init --shm-size 1g --stop-timeout 120
    --user "$(id -u):$(id -g)"
    --mount "type=volume,source=unrender-cache,target=/cache"
    --mount "$(mounted "$jobs" /work/jobs "")"
)
if [ -d "$data" ]; then
    options+=(--mount "$(mounted "$(cd -- "$data" && pwd -P)" /work/data "$access")")
elif [ "$data" != data ]; then
    echo "error: there is no folder $data" >&2
    exit 2
fi
case $gpus in
    none) ;;
    all) options+=(--gpus all) ;;
    *) options+=(--gpus "\"device=$gpus\"") ;; # the quotes are the program's own: without them the comma parts two options
esac
case $1 in
    shell) shift; set -- bash "$@"; options+=(--entrypoint /usr/bin/env) ;;
    download)
        shift
        set -- python /opt/unrender/app/scripts/download_datasets.py "$@"
        options+=(--entrypoint /usr/bin/env)
        ;;
esac

if [ -n "$detach" ]; then
    "$docker" run --detach "${options[@]}" ${more[@]+"${more[@]}"} "$image" "$@"
    echo "follow: $docker logs --follow $name"
    echo "stop:   $docker stop $name      (it leaves a checkpoint; the same call with --resume goes on)"
    echo "remove: $docker rm $name"
    exit 0
fi
if [ -t 0 ] && [ -t 1 ]; then
    options+=(--interactive --tty)
fi
exec "$docker" run --rm "${options[@]}" ${more[@]+"${more[@]}"} "$image" "$@"
