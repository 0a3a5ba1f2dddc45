# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion for bash: options, as --help has them, and names of events, as --list has them, after each comma too.
_virt_uv_events() {
  local word=$2 before=$3 program=$1 names
  COMPREPLY=()
  case $before in
    -e | --event)
      names=$("$program" --list 2>/dev/null)
      [[ $word != *,* ]] || names=$(sed "s|^|${word%,*},|" <<<"$names")
      mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
      compopt -o nospace
      ;;
    --exec)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
    -c | --connect | --to | --domain | --format | --count | --timeout | --stats | --queue | --keepalive) ;;
    *)
      names=$("$program" --help 2>/dev/null | grep -oE '^ +(-[a-z], ?)?--[a-z-]+' | grep -oE -- '-(-[a-z-]+|[a-z]\b)')
      mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
      ;;
  esac
}
complete -F _virt_uv_events virt-uv-events
