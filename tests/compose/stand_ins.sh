#!/bin/sh
# Builds stand-ins for the public images that the Dockerfile and docker-compose.yml name, where no
# registry can be reached: the same names, made from Debian packages with debootstrap. They hold what the
# project uses of the real ones (the same paths, users and commands), and this computer's CA bundle, so
# that pip inside works behind a proxy that it trusts. An image that is there already and is no stand-in
# is never touched.
#
# Needs root, a Docker engine and a Debian mirror. Exit 0: both images are there.
set -eu

PYTHON_IMAGE=python:3.11-slim-bookworm
MOSQUITTO_IMAGE=eclipse-mosquitto:2
CA_BUNDLE=${L3_CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
LABEL=l3sim.stand-in

say() { echo "stand_ins: $*" >&2; }
fail() { say "error: $*"; exit 1; }

digest=$(cat "$0" "$CA_BUNDLE" 2>/dev/null | sha256sum | cut -c1-16)

# fresh IMAGE: true when IMAGE is the registry's own, or a stand-in made by this very script.
fresh() {
    docker image inspect "$1" >/dev/null 2>&1 || return 1
    label=$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1")
    [ -z "$label" ] || [ "$label" = "$digest" ]
}

# bootstrap FOLDER PACKAGES: the smallest Debian with PACKAGES, and this computer's CA bundle.
bootstrap() {
    debootstrap --variant=minbase --cache-dir="$cache" --include="$2" bookworm "$1" >"$1.log" 2>&1 ||
        { tail -5 "$1.log" >&2; fail "debootstrap failed: see the lines above; a Debian mirror is needed"; }
    if [ -f "$CA_BUNDLE" ]; then
        mkdir -p "$1/etc/ssl/certs"
        cp "$CA_BUNDLE" "$1/etc/ssl/certs/ca-certificates.crt"
    fi
    rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/usr/share/doc/* "$1"/usr/share/man/*
}

# into_image FOLDER IMAGE CHANGES...: FOLDER becomes the only layer of IMAGE.
into_image() {
    folder=$1 image=$2
    shift 2
    tar -C "$folder" --exclude=./dev --exclude=./proc --exclude=./sys -c . |
        docker import "$@" --change "LABEL $LABEL=$digest" - "$image" >/dev/null
    rm -rf "$folder"
    say "made $image"
}

make_python() {
    # Like the real image: `python` and `python3` in /usr/local/bin, pip only through `python -m venv`.
    bootstrap "$work/python" python3,python3-venv,ca-certificates
    for name in python python3; do ln -s /usr/bin/python3.11 "$work/python/usr/local/bin/$name"; done
    into_image "$work/python" "$PYTHON_IMAGE" \
        --change "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin" \
        --change "ENV LANG=C.UTF-8" \
        --change "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt" \
        --change 'CMD ["python3"]'
}

make_mosquitto() {
    # Like the real image: user and group 1883, configuration in /mosquitto/config, state in /mosquitto/data.
    bootstrap "$work/mosquitto" mosquitto,mosquitto-clients
    root=$work/mosquitto
    for id in -u -g; do
        old=$(chroot "$root" id "$id" mosquitto)
        sed -i "s/^\(mosquitto:[^:]*:\)$old\b/\11883/" "$root/etc/passwd" "$root/etc/group"
    done
    sed -i "s/^\(mosquitto:[^:]*:1883\):[0-9]*:/\1:1883:/" "$root/etc/passwd"
    mkdir -p "$root/mosquitto/config" "$root/mosquitto/data" "$root/mosquitto/log"
    echo "listener 1883 localhost" >"$root/mosquitto/config/mosquitto.conf"
    chown -R 1883:1883 "$root/mosquitto"
    into_image "$root" "$MOSQUITTO_IMAGE" \
        --change "EXPOSE 1883" \
        --change 'CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]'
}

docker info >/dev/null 2>&1 || fail "no Docker engine answers; start dockerd first"
fresh "$PYTHON_IMAGE" && fresh "$MOSQUITTO_IMAGE" && exit 0
[ "$(id -u)" = 0 ] || fail "debootstrap needs root; run this script as root once, or pull the real images"
if ! command -v debootstrap >/dev/null; then
    say "installing debootstrap"
    apt-get install -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
        fail "debootstrap is missing and apt-get could not install it"
fi
work=$(mktemp -d)
cache=$work/packages
mkdir "$cache"
trap 'rm -rf "$work"' EXIT
fresh "$PYTHON_IMAGE" || make_python
fresh "$MOSQUITTO_IMAGE" || make_mosquitto
