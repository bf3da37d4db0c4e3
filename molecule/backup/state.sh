#!/bin/bash
# Content, owner, mode and time of all files that a set holds.
cd /
find srv/app srv/other etc/app.key -path srv/app/previews -prune -o -printf '%p %U %G %m %y %l ' -a \( -type f -printf '%T@ ' -exec sha256sum {} \; -o -printf '\n' \) 2>/dev/null | sort
