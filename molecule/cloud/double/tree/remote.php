<?php
// THIS IS NOT NEXTCLOUD: a small file endpoint under the paths of its WebDAV, so that requests have something to do.
require __DIR__ . '/lib/double.php';

function end_with(int $status, string $body = ''): never {
    http_response_code($status);
    echo $body;
    exit;
}

function entry(string $href, string $file): string {
    $kind = is_dir($file) ? '<d:collection/>' : '';
    $size = is_dir($file) ? '' : '<d:getcontentlength>' . filesize($file) . '</d:getcontentlength>';
    $when = gmdate(DATE_RFC7231, filemtime($file));
    return '<d:response><d:href>' . htmlspecialchars($href) . "</d:href><d:propstat><d:prop><d:resourcetype>$kind</d:resourcetype>$size"
        . "<d:getlastmodified>$when</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>";
}

$config = config();
if ($config['maintenance'] ?? false) {
    end_with(503);
}
$db = database();
$found = $db->prepare('SELECT hash FROM people WHERE name = ?');
$found->execute([$_SERVER['PHP_AUTH_USER'] ?? '']);
if (!password_verify($_SERVER['PHP_AUTH_PW'] ?? '', (string)$found->fetchColumn())) {
    header('WWW-Authenticate: Basic realm="test double"');
    end_with(401);
}
$user = $_SERVER['PHP_AUTH_USER'];
/** Path of a request -> path on the disk, for this person alone. */
$place = function (string $path) use ($config, $user): string {
    $parts = explode('/', trim(rawurldecode($path), '/'));
    if (count($parts) < 3 || $parts[0] !== 'dav' || !in_array($parts[1], ['files', 'uploads', 'calendars']) || $parts[2] !== $user || array_intersect(['..', '.'], $parts)) {
        end_with(404);
    }
    $root = "{$config['datadirectory']}/$user/{$parts[1]}";
    is_dir($root) || mkdir($root, 0750, true);
    return rtrim("$root/" . implode('/', array_slice($parts, 3)), '/');
};
$file = $place($_SERVER['PATH_INFO'] ?? '');
$target = isset($_SERVER['HTTP_DESTINATION']) ? $place(substr(parse_url($_SERVER['HTTP_DESTINATION'], PHP_URL_PATH), strlen('/remote.php'))) : '';
switch ($_SERVER['REQUEST_METHOD']) {
    case 'GET':
    case 'HEAD':
        is_file($file) || end_with(404);
        header('Content-Length: ' . filesize($file));
        header('Last-Modified: ' . gmdate(DATE_RFC7231, filemtime($file)));
        readfile($file);
        exit;
    case 'PUT':
        is_dir(dirname($file)) || end_with(409);
        $new = !file_exists($file);
        locked($file, function () use ($file, $new) {
            $in = fopen('php://input', 'rb');
            file_put_contents($file, $in) === false && end_with(500);
            if (isset($_SERVER['HTTP_X_OC_MTIME'])) {
                touch($file, (int)$_SERVER['HTTP_X_OC_MTIME']);
                header('X-OC-MTime: accepted');
            }
            http_response_code($new ? 201 : 204);
        });
        exit;
    case 'DELETE':
        file_exists($file) || end_with(404);
        foreach (is_dir($file) ? new RecursiveIteratorIterator(new RecursiveDirectoryIterator($file, FilesystemIterator::SKIP_DOTS), RecursiveIteratorIterator::CHILD_FIRST) : [] as $each) {
            $each->isDir() ? rmdir($each) : unlink($each);
        }
        is_dir($file) ? rmdir($file) : unlink($file);
        end_with(204);
    case 'MKCALENDAR':
    case 'MKCOL':
        file_exists($file) && end_with(405);
        is_dir(dirname($file)) || end_with(409);
        mkdir($file, 0750);
        end_with(201);
    case 'MOVE':
        $new = !file_exists($target);
        if (basename($file) === '.file') { // the parts of an upload become one file
            $out = fopen($target, 'wb');
            foreach (glob(dirname($file) . '/*') as $part) {
                stream_copy_to_stream(fopen($part, 'rb'), $out);
                unlink($part);
            }
            rmdir(dirname($file));
            if (isset($_SERVER['HTTP_X_OC_MTIME'])) {
                touch($target, (int)$_SERVER['HTTP_X_OC_MTIME']);
            }
        } else {
            file_exists($file) || end_with(404);
            rename($file, $target);
        }
        end_with($new ? 201 : 204);
    case 'PROPFIND':
        file_exists($file) || end_with(404);
        $href = '/remote.php' . rtrim($_SERVER['PATH_INFO'], '/');
        $all = entry($href . (is_dir($file) ? '/' : ''), $file);
        foreach (is_dir($file) && ($_SERVER['HTTP_DEPTH'] ?? '1') === '1' ? glob("$file/*") : [] as $each) {
            $all .= entry("$href/" . rawurlencode(basename($each)) . (is_dir($each) ? '/' : ''), $each);
        }
        header('Content-Type: application/xml; charset=utf-8');
        end_with(207, '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">' . $all . '</d:multistatus>');
    default:
        header('Allow: GET, HEAD, PUT, DELETE, MKCOL, MOVE, PROPFIND');
        end_with(405);
}
