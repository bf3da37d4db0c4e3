<?php
// THIS IS NOT NEXTCLOUD: a test double of its occ, which records its calls and keeps what they set.
require __DIR__ . '/lib/double.php';

$words = array_slice($_SERVER['argv'], 1);
$options = $rest = $shown = [];
foreach ($words as $word) {
    [$name, $value] = explode('=', $word, 2) + [1 => true];
    if (str_starts_with($word, '--')) {
        $options[substr($name, 2)] = $value;
        $shown[] = in_array($name, ['--database-pass', '--admin-pass']) ? "$name=(secret)" : $word;
    } else {
        $rest[] = $shown[] = $word;
    }
}
file_put_contents('/var/log/nextcloud/double-occ.jsonl', json_encode([
    'argv' => $shown,
    'cmdline' => str_replace("\0", ' ', trim(file_get_contents('/proc/self/cmdline'), "\0")),
    'env' => array_keys(getenv()),
    'user' => posix_getpwuid(posix_geteuid())['name'],
    'release' => basename(realpath(OC::$SERVERROOT)),
], JSON_UNESCAPED_SLASHES) . "\n", FILE_APPEND);

function answer(mixed $held): void {
    echo json_encode($held, JSON_UNESCAPED_SLASHES), "\n";
}

function end_with(int $code, string $text): never {
    fwrite($code ? STDERR : STDOUT, "$text\n");
    exit($code);
}

$command = array_shift($rest);
$config = config();
$installed = $config['installed'] ?? false;
if ($command === 'maintenance:install') {
    if ($installed) {
        end_with(1, 'Command "maintenance:install" is not defined.');
    }
    $of = ['dbhost' => $options['database-host'], 'dbname' => $options['database-name'], 'dbuser' => $options['database-user'], 'dbpassword' => $options['database-pass']];
    try {
        $db = database($of);
    } catch (PDOException $why) {
        end_with(1, 'Error while trying to connect to the database: ' . $why->getMessage());
    }
    $db->exec('CREATE TABLE appconfig (app text, name text, value text, PRIMARY KEY (app, name)); CREATE TABLE people (name text PRIMARY KEY, hash text)');
    $db->prepare('INSERT INTO people VALUES (?, ?)')->execute([$options['admin-user'], password_hash($options['admin-pass'], PASSWORD_DEFAULT)]);
    foreach (array_keys(applications()) as $app) {
        if ($app !== 'admin_audit' && $app !== 'user_oidc') {
            put($db, $app, 'enabled', 'yes');
        }
    }
    touch($options['data-dir'] . '/.ncdata');
    write($of + ['instanceid' => bin2hex(random_bytes(6)), 'passwordsalt' => bin2hex(random_bytes(15)), 'secret' => bin2hex(random_bytes(24)),
        'trusted_domains' => ['localhost'], 'datadirectory' => $options['data-dir'], 'dbtype' => 'pgsql', 'version' => version()['version'],
        'overwrite.cli.url' => 'http://localhost', 'installed' => true]);
    end_with(0, 'installed');
}
if ($command === 'status') {
    answer(['installed' => $installed, 'maintenance' => $config['maintenance'] ?? false] + version());
    exit;
}
if (!$installed) {
    end_with(1, 'There are no commands defined: not installed.');
}
if ($command === 'maintenance:mode') {
    write(['maintenance' => isset($options['on'])]);
    exit;
}
$db = database();
if ($command === 'upgrade') {
    [$from, $to] = [$config['version'], version()['version']];
    if ($from === $to) {
        end_with(3, 'Already up to date');
    }
    if (file_exists(OC::$SERVERROOT . '/config/double-fails')) {
        end_with(1, 'Exception: a migration of the database failed');
    }
    if (version_compare($from, $to, '>') || (int)$to - (int)$from > 1) {
        end_with(1, "Updates between multiple major versions and downgrades are unsupported: $from $to");
    }
    put($db, 'core', 'upgraded_in_maintenance', ($config['maintenance'] ?? false) ? 'yes' : 'no');
    write(['version' => $to]);
    end_with(0, 'Update successful');
}
if (version()['version'] !== $config['version'] && !in_array($command, ['app:list', 'app:disable'])) {
    end_with(1, 'Nextcloud or one of the apps require upgrade - only a limited number of commands are available');
}
$enabled = fn(string $app): bool => (values($db)[$app]['enabled'] ?? 'no') === 'yes';
switch ($command) {
    case 'config:list':
        isset($options['private']) || end_with(1, 'the double lists with --private only');
        answer(['system' => config(), 'apps' => values($db)]);
        break;
    case 'config:import':
        $new = json_decode(file_get_contents($rest[0]), true, 16, JSON_THROW_ON_ERROR);
        write($new['system']);
        foreach ($new['apps'] as $app => $pairs) {
            foreach ($pairs as $name => $value) {
                is_int($value) || is_string($value) || is_null($value) || end_with(1, "Invalid app config value for $app/$name");
                put($db, $app, $name, $value);
            }
        }
        break;
    case 'app:list':
        $all = ['enabled' => [], 'disabled' => []];
        foreach (applications() as $app => $place) {
            $all[$enabled($app) ? 'enabled' : 'disabled'][$app] = '1.0.0';
        }
        answer($all);
        break;
    case 'app:enable':
    case 'app:disable':
        isset(applications()[$rest[0]]) || end_with(1, "{$rest[0]} not found");
        put($db, $rest[0], 'enabled', $command === 'app:enable' ? 'yes' : 'no');
        break;
    case 'user:add':
        $db->prepare('INSERT INTO people VALUES (?, ?)')->execute([$rest[0], password_hash(getenv('OC_PASS'), PASSWORD_DEFAULT)]);
        break;
    case 'user_oidc:provider':
        if (!isset($options['clientid'])) {
            $held = values($db)['double_oidc'][$rest[0]] ?? end_with(255, 'Provider not found');
            echo $held, "\n";
            break;
        }
        $secret = trim(file_get_contents($options['clientsecret-file']));
        put($db, 'double_oidc', $rest[0], json_encode(['identifier' => $rest[0], 'clientId' => $options['clientid'], 'discoveryEndpoint' => $options['discoveryuri'], 'secret' => hash('sha256', $secret)]));
        break;
    case 'security:certificates':
        answer(array_keys(values($db)['double_authorities'] ?? []));
        break;
    case 'security:certificates:import':
        put($db, 'double_authorities', basename($rest[0]), file_get_contents($rest[0]));
        break;
    case 'setupchecks':
        answer(['double' => ['says' => 'nothing']]);
        break;
    case 'maintenance:data-fingerprint':
    case 'db:add-missing-indices':
    case 'db:add-missing-columns':
    case 'db:add-missing-primary-keys':
    case 'maintenance:repair':
        break;
    default:
        end_with(1, "Command \"$command\" is not defined.");
}
