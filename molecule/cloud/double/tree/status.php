<?php
// THIS IS NOT NEXTCLOUD.
require __DIR__ . '/lib/double.php';
header('Content-Type: application/json');
$config = config();
$installed = $config['installed'] ?? false;
echo json_encode(['installed' => $installed, 'maintenance' => $config['maintenance'] ?? false,
    'needsDbUpgrade' => $installed && $config['version'] !== version()['version']] + version()
    + ['edition' => '', 'productname' => 'test double', 'extendedSupport' => false]);
