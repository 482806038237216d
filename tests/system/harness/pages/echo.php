<?php
// What this front sees of a request, as JSON, and how many bytes its body had.
$input = fopen('php://input', 'rb');
$hash = hash_init('crc32b');
$size = 0;
while (($piece = fread($input, 262144)) !== false && $piece !== '') {
    $size += strlen($piece);
    hash_update($hash, $piece);
}
header('Content-Type: application/json');
echo json_encode([
    'front' => $_SERVER['FRONT'],
    'https' => ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https',
    'server' => $_SERVER,
    'input_size' => $size,
    'input_crc32' => hash_final($hash),
]), "\n";
