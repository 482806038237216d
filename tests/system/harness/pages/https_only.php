<?php
// As many shops do: whoever came without https is sent there.
if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') !== 'https') {
    header('Location: https://' . $_SERVER['HTTP_HOST'] . $_SERVER['REQUEST_URI'], true, 301);
    exit;
}
echo 'came by https, port ', $_SERVER['HTTP_X_FORWARDED_PORT'], "\n";
