# bash completion for palier; install as /usr/share/bash-completion/completions/palier
# Commands, pools and servers come from the running palier. What it says is only compared and quoted, never evaluated.
# shellcheck shell=bash

# Lines of `palier ctl __names KIND`, of the palier that the command line names.
_palier_names() {
    palier ctl "${palier_socket[@]}" __names "$1" 2>/dev/null
}

# Offers each argument that begins with the word being completed.
_palier_offer() {
    local one
    for one in "$@"; do
        [[ $one == "$palier_word"* ]] && COMPREPLY+=("$(printf '%q' "$one")")
    done
}

# The usage of a command, or nothing.
_palier_usage() {
    local usage
    while IFS= read -r usage; do
        [[ ${usage%% *} == "$1" ]] && printf '%s\n' "$usage" && return
    done < <(_palier_names commands)
}

# The values that a usage gives for a key: [tunnels=wait|close] → wait close
_palier_values() {
    local usage=$1 key=$2 values
    [[ $usage =~ (^|[^a-z_])"$key"=([a-z0-9_|]+) ]] || return
    values=${BASH_REMATCH[2]}
    [[ $values == *'|'* ]] && printf '%s\n' "${values//|/$'\n'}"
}

_palier_keys() {
    local rest=$1
    while [[ $rest =~ (^|[^a-z_])([a-z_]+=)(.*) ]]; do
        printf '%s\n' "${BASH_REMATCH[2]}"
        rest=${BASH_REMATCH[3]}
    done
}

_palier_commands() {
    local -a usages
    mapfile -t usages < <(_palier_names commands)
    if ((${#usages[@]})); then
        _palier_offer "${usages[@]%% *}"
    else
        _palier_offer status pools drain enable disable weight only maintenance rollout reload certificates \
            upgrade events stop help
    fi
}

_palier_ctl() {
    local -a palier_socket=() words=() found
    local at
    for ((at = 2; at < COMP_CWORD; ++at)); do
        case ${COMP_WORDS[at]} in
            -s | --socket) palier_socket=(-s "${COMP_WORDS[++at]}") ;;
            --by) ((++at)) ;;
            -*) ;;
            *) words+=("${COMP_WORDS[at]}") ;;
        esac
    done
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        -s | --socket | --by) return ;;
    esac
    compopt +o default +o bashdefault 2>/dev/null
    if [[ $palier_word == -* ]]; then
        _palier_offer --socket --json --by --help
        return
    fi
    if ((${#words[@]} == 0)); then
        _palier_commands
        return
    fi
    local usage
    usage=$(_palier_usage "${words[0]}")
    # bash takes KEY=VALUE apart at the "=".
    local last=${words[-1]} key=
    if [[ $palier_word == '=' ]]; then
        key=$last palier_word=
    elif [[ $last == '=' ]]; then
        key=${words[-2]}
    fi
    if [[ -n $key ]]; then
        mapfile -t found < <(_palier_values "$usage" "$key")
        _palier_offer "${found[@]}"
        return
    fi
    mapfile -t found < <(_palier_keys "$usage")
    for at in "${found[@]}"; do
        [[ $at == "$palier_word"* ]] && COMPREPLY+=("$at")
    done
    ((${#COMPREPLY[@]})) && compopt -o nospace 2>/dev/null
    mapfile -t found < <(_palier_names all)
    _palier_offer "${found[@]}"
}

_palier() {
    local palier_word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _palier_offer run check demo ctl version
        return
    fi
    case ${COMP_WORDS[1]} in
        ctl) _palier_ctl ;;
        run) [[ $palier_word == -* ]] && _palier_offer --config --workers --take-over --help ;;
        check) [[ $palier_word == -* ]] && _palier_offer --config --help ;;
        demo) [[ $palier_word == -* ]] && _palier_offer --port --tls-port --print-config --help ;;
    esac
    return 0
}

complete -o bashdefault -o default -F _palier palier
