<?php
// THIS IS NOT NEXTCLOUD: a test double of its release, see build.py beside the tree.
class OC {
    public static string $SERVERROOT;
}
OC::$SERVERROOT = dirname(__DIR__);

/** config.php and what lies beside it, later files over earlier ones. */
function config(): array {
    $all = [];
    $folder = OC::$SERVERROOT . '/config';
    $files = array_merge(glob("$folder/config.php"), glob("$folder/*.config.php"));
    foreach ($files as $file) {
        $CONFIG = [];
        include $file;
        $all = array_replace($all, $CONFIG);
    }
    return $all;
}

function write(array $values): void {
    $file = OC::$SERVERROOT . '/config/config.php';
    $all = array_filter(array_replace(config(), $values), fn($value) => $value !== null);
    file_put_contents("$file.new", "<?php\n\$CONFIG = " . var_export($all, true) . ";\n");
    chmod("$file.new", 0640);
    rename("$file.new", $file);
    if (function_exists('opcache_invalidate')) {
        opcache_invalidate($file, true);
    }
}

function version(): array {
    require OC::$SERVERROOT . '/version.php';
    return ['version' => implode('.', $OC_Version), 'versionstring' => $OC_VersionString];
}

function database(?array $of = null): PDO {
    $of ??= config();
    [$host, $port] = explode(':', $of['dbhost'] . ':5432');
    return new PDO("pgsql:host=$host;port=$port;dbname={$of['dbname']}", $of['dbuser'], $of['dbpassword'], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function values(PDO $db): array {
    $all = [];
    foreach ($db->query('SELECT app, name, value FROM appconfig ORDER BY app, name') as [$app, $name, $value]) {
        $all[$app][$name] = $value;
    }
    return $all;
}

function put(PDO $db, string $app, string $name, ?string $value): void {
    $db->prepare('DELETE FROM appconfig WHERE app = ? AND name = ?')->execute([$app, $name]);
    if ($value !== null) {
        $db->prepare('INSERT INTO appconfig VALUES (?, ?, ?)')->execute([$app, $name, $value]);
    }
}

/** Application -> its directory, in this release. */
function applications(): array {
    $all = [];
    foreach (config()['apps_paths'] ?? [['path' => OC::$SERVERROOT . '/apps']] as $place) {
        foreach (glob($place['path'] . '/*/appinfo/info.xml') as $file) {
            $all[basename(dirname($file, 2))] = dirname($file, 2);
        }
    }
    ksort($all);
    return $all;
}

/** Nobody else writes to this path meanwhile; in Valkey, as Nextcloud would. */
function locked(string $path, callable $do): void {
    $of = config()['redis'];
    $valkey = new Redis();
    $valkey->connect($of['host'], (int)$of['port'], (float)$of['timeout']);
    if ($of['password'] !== '') {
        $valkey->auth($of['password']);
    }
    if (!$valkey->set("double-lock:$path", '1', ['nx', 'ex' => 60])) {
        http_response_code(423);
        return;
    }
    try {
        $do();
    } finally {
        $valkey->del("double-lock:$path");
        $valkey->incr('double-locks-taken');
    }
}
