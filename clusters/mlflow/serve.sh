#!/usr/bin/env bash
# An MLflow server for a team: PostgreSQL, users with passwords, on loopback behind a proxy with TLS.
# docs/how-to/mlflow-for-a-team.md says how to get there; no password stands in here or on a command line.
set -euo pipefail
: "${DATABASE:?as in postgresql+psycopg2://mlflow@127.0.0.1/mlflow}"
: "${USERS:?another database, of users, as in postgresql+psycopg2://mlflow@127.0.0.1/mlflow_users}"
: "${ARTIFACTS:?a folder or s3://bucket/path}"
: "${NAME:?the name that clients call the server by}"
: "${MLFLOW_AUTH_ADMIN_PASSWORD:?a password for the user admin, twelve characters or more}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?32 random bytes: openssl rand -hex 32}"
# Without this the server starts seven more processes that a study never uses.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY=true
MLFLOW_AUTH_CONFIG_PATH="$(mktemp --suffix .ini)"
export MLFLOW_AUTH_CONFIG_PATH
# Nobody sees another's studies unless they are shared. A password that was right is believed for a
# minute: to check it costs more than to log an epoch.
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<END
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = ${USERS//%/%%}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
END
exec mlflow server \
  --host 127.0.0.1 --port "${PORT:-5000}" --workers "${WORKERS:-2}" \
  --app-name basic-auth \
  --backend-store-uri "$DATABASE" --artifacts-destination "$ARTIFACTS" \
  --allowed-hosts "$NAME,$NAME:*,127.0.0.1:*,localhost:*" \
  --cors-allowed-origins "https://$NAME"
