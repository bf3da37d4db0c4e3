#!/bin/bash
# What must be refused is refused, and what fails is seen and cleaned up. Each line can fail.
set -uo pipefail
program=/usr/local/lib/suite/backup.py config=/etc/suite/backup.json
say() { echo "FAILED: $*"; exit 1; }
wrong() { python3 - "$@" <<'P'
import json, sys
held = json.load(open("/etc/suite/backup.json"))
exec(sys.argv[1])
json.dump(held, open("/root/wrong.json", "w"))
P
}
run() { out=$("$@" 2>/tmp/said); code=$?; }

run $program hold --set some; [[ $code == 0 ]] || say "hold: $(cat /tmp/said)"
before=$(wc -l < /var/log/app-hooks)
run $program run; [[ $code == 1 ]] && grep -q "restore of set some holds" /tmp/said || say "a backup began while a restore holds the host"
[[ $before == $(wc -l < /var/log/app-hooks) ]] || say "a refused backup made the application quiet"
run $program release; [[ $code == 0 ]] || say release

run $program quiet --set other; [[ $code == 0 && -e /run/app-quiet ]] || say "quiet: $(cat /tmp/said)"
systemctl is-active --quiet suite-backup-wake.timer || say "nobody wakes the host when the caller has gone"
run $program restore --set newest --part app; [[ $code == 1 ]] && grep -q "backup of set other holds" /tmp/said || say "a restore began during a backup"
run $program resume --set other; [[ $code == 0 && ! -e /run/app-quiet ]] || say "resume: $(cat /tmp/said)"
! systemctl is-active --quiet suite-backup-wake.timer || say "the alarm is still set"

wrong 'held["password"] = "wrong" * 5'
run env SUITE_BACKUP_CONFIG=/root/wrong.json $program check; [[ $code == 1 ]] && grep -q "another one" /tmp/said || say "a wrong password: $code $(cat /tmp/said)"

wrong 'held["environment"]["RESTIC_REST_PASSWORD"] = "wrong"'
run env SUITE_BACKUP_CONFIG=/root/wrong.json $program list; [[ $code == 1 ]] || say "a wrong password of the server"

wrong 'held["repository"] = "/srv/app/backup"'
run env SUITE_BACKUP_CONFIG=/root/wrong.json $program run; [[ $code == 1 ]] && grep -q "lie in each other" /tmp/said || say "a repository within the data"

wrong 'held["parts"][0]["databases"][0]["password"] = "wrong"'
run env SUITE_BACKUP_CONFIG=/root/wrong.json $program run --set dumpfails; [[ $code == 3 ]] || say "a dump that fails: $code $(cat /tmp/said)"
[[ $(tail -n 1 /var/log/app-hooks) == after* && ! -e /run/app-quiet ]] || say "the hook after did not run when the dump failed"
grep -qx "suite_backup_last_run_good 0" /var/lib/prometheus/node-exporter/suite_backup.prom || say "the measurement says good"
$program list | python3 -c "import json,sys; assert [s['complete'] for s in json.load(sys.stdin) if s['set'] == 'dumpfails'] == [False]" || say "a set with a failed part is complete"
run $program restore --set dumpfails --part app --to /root/side; [[ $code == 1 ]] || say "a failed part was restored"

touch /run/app-hook-before-fails
run $program run --set hookfails; [[ $code == 3 ]] || say "a hook that fails: $code"
rm /run/app-hook-before-fails
[[ $(tail -n 1 /var/log/app-hooks) == after* ]] || say "the hook after did not run when the hook before failed"

wrong 'held["parts"][0]["before"] = [["/usr/local/sbin/app-hook", "before"], ["sleep", "300"]]'
SUITE_BACKUP_CONFIG=/root/wrong.json $program run --set killed >/dev/null 2>&1 & pid=$!
for _ in $(seq 50); do [[ -e /run/app-quiet ]] && break; sleep 0.2; done
sleep 0.5; kill -KILL $pid; wait $pid 2>/dev/null
[[ -e /run/app-quiet ]] || say "the application was not quiet when the backup was killed"
touch /run/app-hook-version-fails
run $program run --set afterkill
rm -f /run/app-hook-version-fails
grep -q "has died" /tmp/said || say "a backup that was killed was not noticed: $(cat /tmp/said)"
[[ ! -e /run/app-quiet ]] || say "the application is still quiet"

wrong 'held["days"] = 0'
run env SUITE_BACKUP_CONFIG=/root/wrong.json $program run --set retention; [[ $code == 0 ]] || say "retention: $(cat /tmp/said)"
echo "$out" | grep -q dumpfails || say "nothing was forgotten"
$program list | python3 -c "import json,sys; held = json.load(sys.stdin); assert sum(s['complete'] for s in held) == 2, held" || say "complete sets were forgotten"

run $program restore --set newest --part app --to /root/side; [[ $code == 0 && -s /root/side/app.dump && -s /root/side/files/etc/app.key ]] || say "into a folder: $(cat /tmp/said)"
rm -rf /root/side /root/wrong.json
echo done
