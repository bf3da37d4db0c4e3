<?php
// A JSON list of words on standard input -> occ with these words: a secret among them is in no argument list
// of a process. Nextcloud reads passwords of `maintenance:install` from arguments or from a terminal alone.
$argv = ['occ', ...json_decode(stream_get_contents(STDIN), true, 2, JSON_THROW_ON_ERROR)];
$argc = count($argv);
$_SERVER['argv'] = $argv;
$_SERVER['argc'] = $argc;
require getcwd() . '/console.php';
