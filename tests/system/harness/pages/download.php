<?php
// As many bytes as asked for, in a pattern of 64 KiB: byte i of it is i modulo 251.
$left = (int) ($_GET['bytes'] ?? 0);
header('Content-Type: application/octet-stream');
if (($_GET['length'] ?? '1') === '1') {
    header("Content-Length: $left");
}
$pattern = '';
for ($i = 0; $i < 65536; $i++) {
    $pattern .= chr($i % 251);
}
while ($left > 0) {
    $piece = $left >= 65536 ? $pattern : substr($pattern, 0, $left);
    echo $piece;
    $left -= strlen($piece);
}
