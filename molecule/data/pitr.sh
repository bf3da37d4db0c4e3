#!/bin/bash
# A table is dropped; the cluster as it was a moment before is put beside the living one, and the row is read there.
set -euo pipefail
cluster=$1 port=$2 database=$3 side=/var/lib/postgresql/side secret=$RANDOM$RANDOM$RANDOM
q() { psql --no-psqlrc --tuples-only --no-align --set=ON_ERROR_STOP=1 --host=/var/run/postgresql --username=postgres --dbname="$database" "$@"; }
finish() {
  runuser -u postgres -- /usr/lib/postgresql/17/bin/pg_ctl stop --silent --pgdata=$side --mode=immediate >/dev/null 2>&1 || true
  rm -rf $side
}
trap finish EXIT
finish
q --port="$port" --quiet --command="drop table if exists pitr; create table pitr (word text); insert into pitr values ('$secret')"
moment=$(q --port="$port" --command="select now()")
sleep 1
q --port="$port" --quiet --command="drop table pitr"
segment=$(q --port="$port" --command="select pg_walfile_name(pg_switch_wal())")
for _ in $(seq 60); do
  [[ $(q --port="$port" --command="select last_archived_wal >= '$segment' from pg_stat_archiver") == t ]] && break
  sleep 1
done
if q --port="$port" --command="table pitr" 2>/dev/null; then echo "the table is still there: the test shows nothing"; exit 1; fi
started=$(date +%s)
runuser -u postgres -- pgbackrest --stanza="$cluster" --pg1-path=$side --type=time --target="$moment" --target-action=promote restore
runuser -u postgres -- /usr/lib/postgresql/17/bin/pg_ctl start --silent --timeout=120 --pgdata=$side --log=/var/lib/postgresql/side.log \
  --options="-c config_file=/etc/postgresql/17/$cluster/postgresql.conf -c data_directory=$side -c port=5499 -c listen_addresses='' -c archive_mode=off -c logging_collector=off -c external_pid_file=''"
for _ in $(seq 60); do [[ $(q --port=5499 --command="select pg_is_in_recovery()") == f ]] && break; sleep 1; done
[[ $(q --port=5499 --command="table pitr") == "$secret" ]]
echo "read back $(( $(date +%s) - started )) s after the restore began"
