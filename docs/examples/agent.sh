#!/bin/sh
# An agent in shell with curl: it asks for the next job, does it, and reports. One job at a time; the server sees to that.
#   INTERLOCK_URL=http://127.0.0.1:8080 INTERLOCK_AGENT_KEY=… ./agent.sh ./work.sh
# The program that is named does the work: it gets the job as JSON on stdin and its type as first argument; exit code 0
# is success, and what it prints becomes the output. It is a good neighbour's minimum: `interlock agent` does more.
set -eu
: "${INTERLOCK_URL:?}" "${INTERLOCK_AGENT_KEY:?}"
work=${1:?the program that does the work}
folder=$(mktemp -d)
started=$(date +%s)-$$ # one name for this process: the server then knows that what an older one ran is lost

call() { # METHOD PATH [BODY]: the answer's body in $folder/answer, its status on stdout (000 without an answer)
    method=$1 path=$2
    shift 2
    [ $# -eq 0 ] || set -- -H 'Content-Type: application/json' -d "$1"
    # The key is read from a file: everybody on the machine can see arguments.
    curl -sS -o "$folder/answer" -w '%{http_code}' -X "$method" -H "@$folder/key" --max-time 40 "$@" \
        "$INTERLOCK_URL/api/agent/hosts/$host$path" || true
}

host_of() { # The key is a signed token, and its middle part names the host.
    middle=$(printf %s "$1" | cut -d. -f2 | tr -- -_ +/)
    while [ $((${#middle} % 4)) -ne 0 ]; do middle="$middle="; done
    printf %s "$middle" | base64 -d | grep -o '"sub":"[^"]*"' | cut -d'"' -f4
}

field() { # The first field of that name, which comes before the payload: a payload cannot pretend to be it.
    grep -o "\"$1\":\"[^\"]*\"" "$folder/answer" | head -n 1 | cut -d'"' -f4
}

beat() { # While the work goes on: say so every few seconds, and stop it when the server says so.
    stop=$folder/cancelled folder=$beats # it works beside the rest, and keeps its answers apart
    while sleep "${BEAT_SECONDS:-15}" && kill -0 "$1" 2>/dev/null; do
        call POST /heartbeat "{\"instanceId\":\"$started\",\"running\":[\"$2\"]}" >/dev/null
        if grep -q '"verdict":"\(cancel\|abandon\)"' "$beats/answer"; then
            touch "$stop"
            kill "$1" 2>/dev/null || true
            return
        fi
    done
}

report() { # RUN BODY: until the server has answered. 409 and 404 mean that it has no use for it any more.
    while :; do
        case $(call POST "/jobs/$1/result" "$2") in
        200 | 404 | 409) return ;;
        401 | 403) echo "the key does not hold" >&2; exit 1 ;;
        *) sleep 2 ;;
        esac
    done
}

quoted() { # A file as a JSON text: its last 2000 bytes, printable ASCII alone.
    tail -c 2000 "$1" | tr -cd '\n -~' | sed 's/[\\"]/\\&/g' | awk '{ printf "%s%s", sep, $0; sep = "\\n" }' | sed 's/.*/"&"/'
}

run() { # RUN TYPE: the job as JSON in $folder/job
    rm -f "$folder/cancelled"
    "$work" "$2" <"$folder/job" >"$folder/output" 2>&1 &
    child=$!
    beat "$child" "$1" &
    beater=$!
    code=0
    wait "$child" || code=$?
    kill "$beater" 2>/dev/null || true
    said=$(quoted "$folder/output")
    if [ -e "$folder/cancelled" ]; then
        report "$1" '{"status":"cancelled"}'
    elif [ "$code" -eq 0 ]; then
        report "$1" "{\"status\":\"success\",\"output\":{\"text\":${said:-\"\"}}}"
    else
        report "$1" "{\"status\":\"failed\",\"errorCode\":\"exit_$code\",\"errorMessage\":${said:-\"it said nothing\"}}"
    fi
}

beats=$folder/beats
mkdir "$beats"
printf 'Authorization: Bearer %s\n' "$INTERLOCK_AGENT_KEY" >"$folder/key"
cp "$folder/key" "$beats/key"
trap 'rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM
host=$(host_of "$INTERLOCK_AGENT_KEY")
echo "agent of host $host" >&2

while :; do
    # "running=" says that nothing runs here: a job whose answer got lost on the way is then handed out again.
    case $(call GET "/jobs?wait=25&instanceId=$started&running=") in
    200)
        cp "$folder/answer" "$folder/job"
        run "$(field jobRunId)" "$(field type)"
        ;;
    204) ;; # nothing to do for 25 s
    401 | 403) echo "the key does not hold" >&2; exit 1 ;;
    409) echo "another agent uses this key" >&2; sleep 30 ;;
    *) sleep 5 ;;
    esac
done
