#!/usr/bin/env bash
# A current Ceph for the tests, beside the one of Debian 12: the packages of a newer suite unpacked into a root folder of
# their own, where test/support/ceph-root.ts finds them. Nothing on the machine is changed or configured.
#   install-ceph.sh [ROOT]     default: BLOBFERRY_CEPH_ROOT, else /var/lib/blobferry-tests/ceph-current
# Takes about half a minute, 160 MB of download and 0.6 GB of disk; a second call finds it there and does nothing.
set -euo pipefail
# The suites move on, so what was tried is asked for first and what there is taken next, which is said.
TRIED=20.2.4+ds-2
SUITES=(sid forky)
PACKAGES=(radosgw ceph-mon ceph-osd ceph-common)

root=${1:-${BLOBFERRY_CEPH_ROOT:-/var/lib/blobferry-tests/ceph-current}}
if [ -e "$root/.version" ]; then
  echo "Ceph $(cat "$root/.version") is there already: $root"
  exit 0
fi
mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
  sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' | head -n 1 || true)
mkdir -p "$(dirname "$root")"
# Beside the root, so that what is whole can be moved there in one step.
work=$(mktemp -d "$root.making-XXXXXX")
trap 'rm -rf "$work"' EXIT

# fetch SUITE [VERSION]: downloads the packages with all that they need, as if nothing were installed.
fetch() {
  local suite=$1 version=${2:+=$2} state=$work/apt
  rm -rf "$state"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$state/sources.list"
  local apt=(apt-get -qq
    -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- -o Dir::Etc::preferences=-
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o Acquire::Retries=5 -o Acquire::http::Timeout=30)
  "${apt[@]}" update && "${apt[@]}" install -y --download-only base-files "${PACKAGES[@]/%/$version}" </dev/null
}

fetch_any() {
  local attempt suite
  for attempt in 1 2 3; do
    for suite in "${SUITES[@]}"; do
      fetch "$suite" "$TRIED" && return 0
    done
    for suite in "${SUITES[@]}"; do
      fetch "$suite" && return 0
    done
    echo "no suite gave a whole Ceph at attempt $attempt"
  done
  return 1
}

unpack() {
  local package
  # The last one is where the tests show it their own folder.
  mkdir -p "$work/root/"{proc,dev,mnt,tmp}
  # The links /bin, /lib and /sbin are in base-files, and the others need them.
  dpkg-deb -x "$work"/apt/cache/archives/base-files_*.deb "$work/root"
  for package in "$work"/apt/cache/archives/*.deb; do
    # Texts and translations are a tenth of it all.
    dpkg-deb --fsys-tarfile "$package" |
      tar -x -C "$work/root" --keep-directory-symlink --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
  done
}

fetch_any >"$work/log" 2>&1 || {
  tail -n 40 "$work/log"
  exit 1
}
version=$(dpkg-deb -f "$work"/apt/cache/archives/radosgw_*.deb Version)
[ "$version" = "$TRIED" ] || echo "Ceph $TRIED is not to be had any more; $version takes its place"
unpack
chroot "$work/root" radosgw --version
echo "$version" >"$work/root/.version"
rm -rf "$root"
mv -T "$work/root" "$root"
echo "Ceph $version is in $root"
