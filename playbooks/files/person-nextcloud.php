<?php
// Run by php from standard input, in Nextcloud's folder and as its user: what the database holds of one account, as JSON.
// Through Nextcloud's public interfaces and tables of its own applications; an application that is not there is named with the reason.
require_once getcwd() . '/lib/base.php';

$name = $argv[1];
$database = \OCP\Server::get(\OCP\IDBConnection::class);
$held = ['exists' => \OCP\Server::get(\OCP\IUserManager::class)->userExists($name), 'tables' => []];

$principal = 'principals/users/' . $name;
$queries = [
    'shares' => ['SELECT * FROM `*PREFIX*share` WHERE `uid_owner` = ? OR `uid_initiator` = ? OR (`share_type` = 0 AND `share_with` = ?)', [$name, $name, $name]],
    'activity' => ['SELECT * FROM `*PREFIX*activity` WHERE `affecteduser` = ? OR `user` = ?', [$name, $name]],
    'calendars' => ['SELECT * FROM `*PREFIX*calendars` WHERE `principaluri` = ?', [$principal]],
    'calendar_objects' => ['SELECT o.`uri`, o.`calendardata`, c.`uri` AS `calendar` FROM `*PREFIX*calendarobjects` o JOIN `*PREFIX*calendars` c ON c.`id` = o.`calendarid` WHERE o.`calendartype` = 0 AND c.`principaluri` = ?', [$principal]],
    'address_books' => ['SELECT * FROM `*PREFIX*addressbooks` WHERE `principaluri` = ?', [$principal]],
    'contacts' => ['SELECT k.`uri`, k.`carddata`, b.`uri` AS `address_book` FROM `*PREFIX*cards` k JOIN `*PREFIX*addressbooks` b ON b.`id` = k.`addressbookid` WHERE b.`principaluri` = ?', [$principal]],
    'preferences' => ['SELECT `appid`, `configkey`, `configvalue` FROM `*PREFIX*preferences` WHERE `userid` = ?', [$name]],
    'devices' => ['SELECT `name`, `type`, `last_activity` FROM `*PREFIX*authtoken` WHERE `uid` = ?', [$name]],
];
foreach ($held['exists'] ? $queries : [] as $table => [$query, $values]) {
    try {
        $rows = $database->executeQuery($query, $values)->fetchAll();
        foreach ($rows as &$row) {
            unset($row['password']); // of a link, as a hash: of no use to anybody
            foreach ($row as &$value) {
                $value = is_resource($value) ? stream_get_contents($value) : $value;
            }
            unset($value);
        }
        unset($row);
        $held['tables'][$table] = $rows;
    } catch (\Throwable $error) {
        $held['tables'][$table] = $error->getMessage();
    }
}
echo json_encode($held, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
