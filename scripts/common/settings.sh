# The settings of the scripts, checked before anything is written, and the folders that are theirs to write to.
# shellcheck shell=bash
# lib.sh sources it. A variable that is empty counts as not set.

# check KIND NAME...: dies unless each of these variables that is set is of this kind: positive, natural, number, or
# one of several words, such as fp16|fp32.
check() {
  local name pattern=${1//./[.]} what=${1//|/ or }
  case $1 in
    positive) pattern='[1-9][0-9]{0,8}' what="an integer of at least 1" ;;
    natural) pattern='0|[1-9][0-9]{0,8}' what="an integer of at least 0" ;;
    number) pattern='([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?' what="a number of at least 0" ;;
  esac
  for name in "${@:2}"; do
    [[ -z ${!name:-} || ${!name} =~ ^($pattern)$ ]] || die "$name must be $what, got ${!name}"
  done
}

# check_settings: those that several scripts have.
check_settings() {
  check positive MAX_UPDATE MAX_TOKENS UPDATE_TOKENS UPDATE_FREQ PROCESSES NODES WORKERS
  check positive HELDOUT PAIRS MERGES VOCAB BEAM MAX_LEN
  check natural SEED WARMUP NODE_RANK MIN_LEN MIN_FREE_MB
  check number ALPHA LR LENPEN
  check 'rdrop|plain' CRITERION
  check 'fp16|fp32' PRECISION # bf16: fairseq-hydra-train, see examples/translation/README.md
}

# absolute NAME...: makes the paths that are set absolute: none is taken for a flag, or changes in another folder.
absolute() {
  local name
  for name; do
    [[ -z ${!name:-} || $name=${!name} == VENV=none ]] || printf -v "$name" %s "$(realpath -ms -- "${!name}")"
  done
}

# check_folders NAME...: the same for folders whose names fairseq reads; dies for one that it would take apart.
check_folders() {
  local name
  absolute "$@"
  for name; do
    [[ ${!name:-} != *[:,$'\n']* && ${!name:-} != *"\${"* ]] \
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

# own_folder NAME KIND [RESULT KEY=VALUE...]: makes the folder in this variable, and locks it until this script ends.
# Its file settings, with KIND, is the proof that such a script made what is in it, which may be replaced. Dies if
# there is anything but no such proof, or what keep_settings dies of.
own_folder() {
  local name=$1 kind=$2 dir=${!1}
  if [[ -s $dir/settings ]]; then
    [[ $(setting "$dir" KIND) == "$kind" ]] \
      || die "$name: $dir is of the kind $(setting "$dir" KIND), not $kind: choose another folder with $name"
  elif [[ -e $dir && -n $(find "$dir" -mindepth 1 ! -name '.lock*' ! -name 'settings.*.part' -print -quit) ]]; then
    die "$name: $dir has files, and no file settings of this script's: choose another folder with $name"
  fi
  mkdir -p "$dir"
  lock_folder "$name"
  keep_settings "$dir/settings" "${3:-}" "KIND=$kind" "${@:4}"
}

LOCK= # distinguishes the processes of one training on several machines, each with a lock of its own

# lock_folder NAME: until this script ends, and with it the programs that it started.
lock_folder() {
  local lock
  exec {lock}>>"${!1}/.lock$LOCK"
  # What was killed a moment ago may still be ending.
  flock -w 5 "$lock" \
    || die "$1: another run is at work in ${!1}: wait for its end, or choose another folder with $1"
}

# keep_settings FILE RESULT KEY=VALUE...: notes in FILE what its folder is made with. Dies if something there like
# RESULT, a pattern, has been made with other settings; before that, they may be corrected.
keep_settings() {
  local dir settings
  dir=$(dirname "$1") settings=$(printf '%s\n' "${@:3}")
  [[ ! -s $1 || $(<"$1") != "$settings" ]] || return 0
  [[ ! -s $1 ]] || ! (cd "$dir" && compgen -G "$2" >/dev/null) \
    || die "$dir was made with other settings ($(grep -vxF "$settings" "$1" | paste -sd ' ')): choose another folder" \
      "with OUT, or delete it"
  echo "$settings" >"$1.$$.part" && mv "$1.$$.part" "$1"
}

# check_room DIR MEGABYTES: dies unless there is that much room where DIR is, or is to be.
check_room() {
  local there=$1 free
  until [[ -e $there ]]; do there=$(dirname "$there"); done
  free=$(df -Pk "$there" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= $2)) || die "$1 has $free MB free, $2 MB are needed: make room or choose another folder (--help says how)"
}
