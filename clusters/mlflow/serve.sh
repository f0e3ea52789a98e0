#!/usr/bin/env bash
# An MLflow server for a team: PostgreSQL, users with passwords, on loopback behind a proxy with TLS.
#   pip install 'raylt' 'mlflow[auth]' 'psycopg[binary]'
#   DATABASE=postgresql+psycopg://mlflow@127.0.0.1/mlflow ARTIFACTS=/srv/mlflow NAME=mlflow.internal \
#     MLFLOW_AUTH_ADMIN_PASSWORD=... MLFLOW_FLASK_SERVER_SECRET_KEY=... clusters/mlflow/serve.sh
# The database's password comes from ~/.pgpass, so that no process list shows it.
set -euo pipefail
: "${DATABASE:?as in postgresql+psycopg://mlflow@127.0.0.1/mlflow}"
: "${ARTIFACTS:?a folder or s3://bucket/path}"
: "${NAME:?the name that clients call the server by}"
: "${MLFLOW_AUTH_ADMIN_PASSWORD:?a password for the user admin}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?32 random bytes: openssl rand -hex 32}"
# Without this the server starts seven more processes that a study never uses.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY=true
export MLFLOW_AUTH_CONFIG_PATH="$(cd "$(dirname "$0")" && pwd)/basic_auth.ini"
exec mlflow server \
  --host 127.0.0.1 --port "${PORT:-5000}" --workers "${WORKERS:-2}" \
  --app-name basic-auth \
  --backend-store-uri "$DATABASE" --artifacts-destination "$ARTIFACTS" \
  --allowed-hosts "$NAME,$NAME:*,127.0.0.1:*,localhost:*" \
  --cors-allowed-origins "https://$NAME"
