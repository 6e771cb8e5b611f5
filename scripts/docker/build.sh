#!/usr/bin/env bash
# Builds the image of the backend.
#
#   scripts/docker/build.sh                      for NVIDIA GPUs (and CPUs): unrender:VERSION and unrender:latest
#   scripts/docker/build.sh --cpu                without CUDA, several GB smaller: unrender:cpu
#   scripts/docker/build.sh --torch-index URL    with the build of PyTorch from this package index (an older CUDA, say)
#   scripts/docker/build.sh --base IMAGE         on another base with apt and Python 3.11 to 3.13
#   scripts/docker/build.sh --tag NAME:TAG       under this name alone
#
# What follows -- goes to `docker build`. UNRENDER_DOCKER names the program (default: docker).
set -euo pipefail

# shellcheck source=scripts/docker/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version *= *"\([^"]*\)".*/\1/p' "$root/blender_manifest.toml")
tags=("unrender:$version" "unrender:latest")
arguments=()

while [ $# -gt 0 ]; do
    case $1 in
        --cpu)
            arguments+=(--build-arg "TORCH_INDEX=https://download.pytorch.org/whl/cpu")
            tags=("unrender:cpu")
            ;;
        --torch-index) need "$1" $#; arguments+=(--build-arg "TORCH_INDEX=$2"); shift ;;
        --base) need "$1" $#; arguments+=(--build-arg "BASE=$2"); shift ;;
        --tag) need "$1" $#; tags=("$2"); shift ;;
        --) shift; break ;;
        -h | --help) usage; exit 0 ;;
        *) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
    esac
    shift
done

need_docker
for tag in "${tags[@]}"; do
    arguments+=(--tag "$tag")
done
# BuildKit, the default since Docker 23, reads Dockerfile.dockerignore beside the Dockerfile
export DOCKER_BUILDKIT=1
exec "$docker" build --file "$root/scripts/docker/Dockerfile" "${arguments[@]}" "$@" "$root"
