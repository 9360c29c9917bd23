# Shared by the prepare-*.sh of translation and of summarization; their common.sh sources it.
# shellcheck shell=bash disable=SC2034

WORKERS=${WORKERS:-$(nproc)}

# usage_of_prepare OUT MEGABYTES [FILES]: what the usages of all prepare-*.sh end with. FILES: what LOCAL_FILES may hold.
usage_of_prepare() {
  cat <<HELP
  OUT          output folder ($1)
${3:+  LOCAL_FILES  a folder with $3, in place of the download
  DOWNLOADER   command to call as DOWNLOADER URL FILE instead of curl
}  WORKERS      processes (the number of cores)
  MIN_FREE_MB  free space to ask for ($2)
  VENV PYTHON  virtual environment (.venv; none: the python on PATH as it is), interpreter
HELP
}

# check_common_settings: those of every prepare-*.sh.
check_common_settings() {
  check_settings
  check_folders OUT VENV
  absolute LOCAL_FILES
}

# read_own_text FOLDER SRC TGT OPTION...: sets READ, the command that reads the text there, of somebody's own.
read_own_text() {
  local text=$1
  absolute text
  [[ -e $text ]] || die "$text is not there: name a folder with train.$2 and train.$3, or a table"
  READ=(python -m rdrop_tools.text.own_corpus "$text" --langs "$2" "$3" ${HELDOUT:+--heldout "$HELDOUT"} "${@:4}")
  [[ -z ${SRC_COLUMN:-}${TGT_COLUMN:-} ]] || READ+=(--columns "${SRC_COLUMN:-$2}" "${TGT_COLUMN:-$3}")
}
