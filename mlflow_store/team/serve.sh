#!/bin/sh
# A team's MLflow server, for the store in folder $1; see ../README.md.
# It listens on loopback, TLS being the proxy's, and has no secret on its command line.
set -eu
umask 077
team=$(cd "$(dirname "$0")" && pwd)
store=$(cd "${1:?usage: serve.sh STORE}" && pwd)

for file in "$store/server.env" "$store/pgpass"; do
    mode=$(stat -L -c %a "$file")
    if [ "$mode" != 600 ]; then
        echo "$file: its mode is $mode, others may read it; run: chmod 600 $file" >&2
        exit 2
    fi
done
set -a
. "$store/server.env"
set +a
case $NAME in
*[!A-Za-z0-9.:-]* | '') # MLflow would read * and ? as patterns, which other names fit too
    echo "$store/server.env: NAME=$NAME: give one exact name, such as mlflow.example.org" >&2
    exit 2
    ;;
esac

export PGUSER=mlflow PGPASSFILE="$store/pgpass"
export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg:///mlflow
export MLFLOW_AUTH_CONFIG_PATH="$team/basic_auth.ini"
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY=true
exec mlflow server --app-name basic-auth \
    --host 127.0.0.1 --port "$PORT" \
    --allowed-hosts "$NAME,127.0.0.1:$PORT" \
    --cors-allowed-origins "https://$NAME" \
    --artifacts-destination "$store/artifacts"
