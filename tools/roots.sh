# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Other Debians, as folders, for the scripts beside this one (bash; source it with the repository's top as the working
# directory).
#
#     roots                       where they are: VIRT_UV_ROOTS, or else ~/.cache/virt-uv/roots
#     release[NAME]               the suite and the architecture of the system NAME
#     locked NAME COMMAND...      runs the command while no other script uses NAME
#     new_root NAME FOLDER        makes FOLDER a system as debootstrap leaves it, with a clone of HEAD in it
#     clone                       where that is, for tools/in-root.sh
#     keep_packages NAME FOLDER   what apt-get has fetched there is not fetched again in the next one
#
# debootstrap runs once for each NAME: roots/bare/NAME is never changed, and copied. Delete it to have it made anew.

declare -A release=(
  [debian-12]='bookworm amd64' [debian-13]='trixie amd64' [debian-sid]='sid amd64' [debian-12-i386]='bookworm i386')
roots=${VIRT_UV_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/virt-uv/roots}
clone=/root/virt-uv

# The command sees the variables here in place of its script's own of the same name: hence none is called `name`.
locked() {
  local lock status=0
  mkdir -p "$roots"
  exec {lock}>"$roots/$1.lock"
  flock "$lock"
  "${@:2}" || status=$?
  exec {lock}>&-
  return "$status"
}

# Where this machine gets Debian from.
mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | grep -m 1 /debian/ ||
    echo http://deb.debian.org/debian/
}

# bare_root NAME: makes roots/bare/NAME, unless it is there.
bare_root() {
  local root=$roots/bare/$1 suite architecture
  read -r suite architecture <<<"${release[$1]}"
  [[ -e $root/.made ]] && return
  printf 'Making %s\n' "$root" >&2
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  if ! quietly debootstrap --variant=minbase --arch="$architecture" "$suite" "$root" "$(mirror)"; then
    [[ ! -x $root/bin/true ]] || chroot "$root" /bin/true ||
      printf 'This kernel does not run programs of %s.\n' "$architecture" >&2
    return 1
  fi
  # As this machine fetches packages. The index of a mirror of sid may be an old one.
  { echo 'Acquire::Check-Valid-Until "false";'
    apt-config dump --no-empty | grep -E '^Acquire::https?::' || true
  } >"$root/etc/apt/apt.conf.d/99machine"
  touch "$root/.made"
}

new_root() {
  local name=$1 root=$2 fetched=$roots/packages/$1
  bare_root "$name" || return
  rm -rf --one-file-system "$root" "$root.new"
  mkdir -p "$fetched"
  cp -a "$roots/bare/$name" "$root.new" &&
    cp -alf "$fetched/." "$root.new/var/cache/apt/archives/" &&
    put_clone "$root.new" &&
    mv "$root.new" "$root"
}

# put_clone ROOT: a clean clone of HEAD, in the place of the one that may be there.
put_clone() {
  rm -rf --one-file-system "${1:?}$clone"
  git clone --quiet --no-hardlinks . "$1$clone"
}

keep_packages() {
  find "$2/var/cache/apt/archives" -maxdepth 1 -name '*.deb' -exec cp -alf --target-directory "$roots/packages/$1" {} +
}
