<?php
// THIS IS NOT NEXTCLOUD: tells what PHP got of the request and with which settings it runs.
require __DIR__ . '/lib/double.php';
if (str_ends_with($_SERVER['PATH_INFO'] ?? '', '/double/started')) {
    // Leaves word at once, before the body has come where nobody holds it back.
    apcu_store('started', $_SERVER['QUERY_STRING']);
    echo strlen(file_get_contents('php://input')), "\n";
    exit;
}
if (str_ends_with($_SERVER['PATH_INFO'] ?? '', '/double/last')) {
    echo apcu_fetch('started');
    exit;
}
header('Content-Type: application/json');
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
$of = ['memory_limit', 'upload_max_filesize', 'post_max_size', 'max_execution_time', 'output_buffering', 'opcache.interned_strings_buffer', 'opcache.max_accelerated_files', 'opcache.memory_consumption', 'opcache.revalidate_freq', 'opcache.jit', 'apc.enabled', 'apc.shm_size', 'session.save_handler'];
echo json_encode([
    'path' => $_SERVER['REQUEST_URI'], 'info' => $_SERVER['PATH_INFO'] ?? '', 'client' => $_SERVER['REMOTE_ADDR'], 'https' => $_SERVER['HTTPS'] ?? '',
    'forwarded' => $_SERVER['HTTP_X_FORWARDED_FOR'] ?? null, 'proxy' => $_SERVER['HTTP_PROXY'] ?? null,
    'script' => $_SERVER['SCRIPT_FILENAME'], 'user' => posix_getpwuid(posix_geteuid())['name'], 'visits' => $_SESSION['visits'],
    'ini' => array_combine($of, array_map('ini_get', $of)), 'extensions' => get_loaded_extensions(),
    'can_write_release' => is_writable(__DIR__), 'sees_home' => @scandir('/root') !== false, 'apcu' => apcu_store('double', 1) && apcu_fetch('double') === 1,
]);
