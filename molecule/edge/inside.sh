#!/bin/sh
# The host of the edge after a client was there: a line for each check; exit 1 where one is red.
red=0
check() { # what, command...
    what=$1; shift
    if seen=$("$@" 2>&1); then echo "ok   $what"; else echo "FAIL $what: $seen"; red=1; fi
}
not() { ! "$@"; }

check "listens to the net on the declared ports alone" test "$(ss -Hltnu | awk '{print $5}' | grep -vE '^(127\.|\[::1\])' | sed 's/.*://' | sort -un | tr '\n' ' ')" = "22 80 443 9113 "
check "addresses in the log are short" grep -q '^10\.77\.0\.0 ' /var/log/nginx/access.log
check "none is whole" not grep -q '^10\.77\.0\.12 ' /var/log/nginx/access.log
check "no query in the log" not grep -q 'a=b' /var/log/nginx/access.log
check "logs go after 30 days" grep -q 'maxage 30' /etc/logrotate.d/nginx
check "logs are turned" logrotate --force /etc/logrotate.d/nginx
check "nginx writes to the new one" sh -c 'curl -s -o /dev/null http://127.0.0.1/ -H "Host: cloud.town.example"; sleep 1; grep -q "^127.0.0.0 " /var/log/nginx/access.log'
check "host is well" systemctl is-system-running
exit $red
