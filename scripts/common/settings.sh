# The settings of the scripts, checked before anything is written, and the folders that are theirs to write to.
# shellcheck shell=bash
# lib.sh sources it. A variable that is empty counts as not set.

# check_integer LEAST-MOST NAME...: dies unless each of these variables that is set is an integer in this range.
check_integer() {
  local name least=${1%-*} most=${1#*-}
  for name in "${@:2}"; do
    [[ -z ${!name:-} ]] || [[ ${!name} =~ ^(0|[1-9][0-9]{0,8})$ && ${!name} -ge $least && ${!name} -le $most ]] \
      || die "$name must be an integer from $least to $most, got ${!name}"
  done
}

# check_number NAME...: dies unless each that is set is a number of at least 0, such as 5, 0.7 or 3e-5.
check_number() {
  local name
  for name; do
    [[ -z ${!name:-} || ${!name} =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$ ]] \
      || die "$name must be a number of at least 0, got ${!name}"
  done
}

# check_choice NAME CHOICE CHOICE...: dies unless it is one of these, or not set.
check_choice() {
  local choice choices
  [[ -n ${!1:-} ]] || return 0
  for choice in "${@:2}"; do [[ ${!1} != "$choice" ]] || return 0; done
  choices=$(printf ', %s' "${@:2:$#-2}")
  die "$1 must be ${choices:2} or ${!#}, got ${!1}"
}

# absolute NAME...: makes the paths that are set absolute: none is taken for a flag, or changes in another folder.
absolute() {
  local name
  for name; do
    [[ -n ${!name:-} && $name=${!name} != VENV=none ]] || continue
    [[ ${!name} != *$'\n'* ]] || die "$name: a path must not have a line break: ${!name}"
    printf -v "$name" %s "$(realpath -ms -- "${!name}")"
  done
}

# check_folders NAME...: the same for folders whose names fairseq reads; dies for one that it would take apart.
check_folders() {
  local name
  absolute "$@"
  for name; do
    [[ ${!name:-} != *[:,]* && ${!name:-} != *"\${"* ]] \
      || die "$name: fairseq does not take a colon, a comma or \${ in a path: rename ${!name}," \
        "or choose another folder"
  done
}

# setting DIR KEY: the value noted in DIR/settings; of KIND, which script made the folder.
setting() { sed -n "s/^$2=//p" "$1/settings"; }

# check_kind NAME KIND SCRIPT: dies unless the folder in this variable is SCRIPT's output.
check_kind() {
  [[ -s ${!1}/settings && $(setting "${!1}" KIND) == "$2" ]] \
    || die "$1: ${!1} is not the output of $3 (its file settings would say so): run $3 first, or name its folder"
}

# check_made_with NAME KEY...: dies unless the folder in this variable has this script's values of these keys.
check_made_with() {
  local key
  for key in "${@:2}"; do
    [[ $(setting "${!1}" "$key") == "${!key}" ]] \
      || die "$1: ${!1} was made with $key=$(setting "${!1}" "$key"), not ${!key}"
  done
}

# own_folder NAME KIND [RESULT KEY=VALUE...]...: makes the folder in this variable, and locks it until this script
# ends. Its file settings, with KIND, is the proof that such a script made what is in it, which may be replaced.
# Dies if there is anything but no such proof, or what keep_settings dies of.
own_folder() {
  local name=$1 kind=$2 dir=${!1} found
  [[ ! -e $dir || -d $dir ]] || die "$name: $dir is not a folder"
  if [[ -s $dir/settings ]]; then
    found=$(setting "$dir" KIND)
    [[ $found == "$kind" ]] \
      || die "$name: $dir is of the kind ${found:-unknown}, not $kind: choose another folder with $name"
  elif [[ -d $dir && -n $(find "$dir" -mindepth 1 ! -name '.lock*' ! -name 'settings.*.part' -print -quit) ]]; then
    die "$name: $dir has files, and no file settings of this script's: choose another folder with $name"
  fi
  mkdir -p "$dir" 2>/dev/null || die "cannot write to $dir: make it writable or choose another folder with $name"
  lock_folder "$name"
  keep_settings "$dir/settings" "KIND=$kind" "${@:3}"
}

LOCK= # distinguishes the processes of one training on several machines, each with a lock of its own

# lock_folder NAME: until this script ends, and with it the programs that it started.
lock_folder() {
  local lock error code=0
  { exec {lock}>>"${!1}/.lock$LOCK"; } 2>/dev/null \
    || die "cannot write to ${!1}: make it writable or choose another folder with $1"
  # What was killed a moment ago may still be ending. 75: it is locked
  error=$(flock -w 5 -E 75 "$lock" 2>&1) || code=$?
  [[ $code != 75 ]] || die "$1: another run is at work in ${!1}: wait for its end, or choose another folder with $1"
  [[ $code == 0 ]] \
    || die "$1: cannot lock ${!1} (${error:-flock ended with $code}): choose a folder on another file system with $1"
}

# keep_settings FILE [RESULT KEY=VALUE...]...: notes in FILE what its folder is made with. Dies if something there
# like RESULT, a pattern, has been made with another value of the keys after it; before that, they may be corrected.
keep_settings() {
  local file=$1 argument key earlier result='' settings=() conflicts=()
  for argument in "${@:2}"; do
    [[ $argument != *$'\n'* ]] || die "a setting must not have a line break: $argument"
    if [[ $argument != *=* ]]; then
      result=$argument
      continue
    fi
    settings+=("$argument")
    key=${argument%%=*}
    earlier=$(sed -n "s/^$key=//p" "$file" 2>/dev/null) || true # none is an empty one
    if [[ $key != KIND && $earlier != "${argument#*=}" ]] && is_made "$(dirname "$file")" "$result"; then
      conflicts+=("$key=$earlier")
    fi
  done
  ((${#conflicts[@]} == 0)) \
    || die "$(dirname "$file") was made with other settings (${conflicts[*]}): choose another folder with OUT," \
      "or delete it"
  [[ ! -s $file || $(<"$file") != "$(printf '%s\n' "${settings[@]}")" ]] || return 0
  { printf '%s\n' "${settings[@]}" >"$file.$$.part" && mv "$file.$$.part" "$file"; } 2>/dev/null \
    || die "cannot write $file: make room, or make its folder writable"
}

is_made() { # DIR PATTERN
  local path
  # shellcheck disable=SC2231 # a pattern
  for path in "$1"/$2; do [[ ! -e $path ]] || return 0; done
  return 1
}

# check_room DIR MEGABYTES: dies unless there is that much room where DIR is, or is to be.
check_room() {
  local there=$1 free
  until [[ -e $there ]]; do there=$(dirname "$there"); done
  free=$(df -Pk "$there" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= $2)) || die "$1 has $free MB free, $2 MB are needed: make room or choose another folder (--help says how)"
}
