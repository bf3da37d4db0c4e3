<?php
// THIS IS NOT NEXTCLOUD.
require __DIR__ . '/lib/double.php';
put(database(), 'core', 'lastcron', (string)time());
put(database(), 'core', 'lastcron_user', posix_getpwuid(posix_geteuid())['name']);
