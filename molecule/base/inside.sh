#!/bin/sh
# What a host of the suite is: a line for each check; exit 1 where one is red.
red=0
check() { # what, command...
    what=$1; shift
    if seen=$("$@" 2>&1); then echo "ok   $what"; else echo "FAIL $what: $seen"; red=1; fi
}
not() { ! "$@"; }
has() { printf '%s' "$1" | grep -Eq -- "$2"; }

check "hostname is what it was" test "$(hostname)" = "$(cat /etc/hostname)"
check "SSH without passwords" has "$(sshd -T)" '^passwordauthentication no'
check "root by key alone" has "$(sshd -T)" '^permitrootlogin (without-password|prohibit-password)'
check "no old ciphers" not has "$(sshd -T | grep ^ciphers)" 'cbc|3des|ctr'
check "rules come back with the host" systemctl is-enabled nftables
check "default is to drop" has "$(nft list chain inet suite input)" 'policy drop'
check "nobody listens to the net but SSH" test "$(ss -Hltnu | awk '{print $5}' | grep -vE '^(127\.|\[::1\])' | sed 's/.*://' | sort -u)" = 22
check "time from the declared servers alone" has "$(systemd-analyze cat-config systemd/timesyncd.conf | grep -E '^(NTP|FallbackNTP)=' | tr '\n' ' ')" '^NTP=ptbtime1.ptb.de FallbackNTP= $'
check "time starts with the host" systemctl is-enabled systemd-timesyncd
check "journal forgets" has "$(systemd-analyze cat-config systemd/journald.conf)" '^MaxRetentionSec=12day'
check "journal is on the disk" test -d "/var/log/journal/$(cat /etc/machine-id)"
check "security updates are on" has "$(apt-config dump)" 'APT::Periodic::Unattended-Upgrade "1"'
check "and nothing else updates itself" test "$(apt-config dump | grep -c '^Unattended-Upgrade::Origins-Pattern:: ')" = "$(apt-config dump | grep '^Unattended-Upgrade::Origins-Pattern:: ' | grep -c Debian-Security)"
check "no core dumps" test "$(su -s /bin/sh -c 'ulimit -Hc' nobody)" = 0
check "kernel's settings hold" test "$(sysctl -n net.ipv4.conf.all.accept_redirects net.ipv4.tcp_syncookies net.ipv4.conf.all.rp_filter | tr '\n' ' ')" = "0 1 1 "
check "hosts know each other" has "$(getent hosts two.town.example)" '^10.77.0.12'
check "place of data" test -d /srv/files
check "who is gone is gone" not getent passwd gone
check "no password of operators" has "$(getent shadow ada)" '^ada:!'
check "key of the certificate is closed" test "$(stat -c '%a %U %G' "/etc/ssl/suite/$(hostname).town.example.key")" = "640 root ssl-cert"
check "authority is bound to the domain" has "$(openssl x509 -noout -text -in /usr/local/share/ca-certificates/suite-root.crt)" 'DNS:town.example'
check "no key of the authority on a host" test -z "$(find / -xdev -name root.key)"
check "renewal is timed" systemctl is-enabled suite-certificates.timer
check "host is well" systemctl is-system-running
exit $red
