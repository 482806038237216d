<?php
// Which container answers, and at which address.
header('Content-Type: text/plain');
echo gethostname(), ' ', $_SERVER['SERVER_ADDR'], "\n";
